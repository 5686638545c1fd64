# Everything a checkout needs, from a bare Debian or Ubuntu machine onwards. `make` lists it.

.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin

# Handed to the program that a target runs: make test ARGS="-k quota -x"
ARGS ?=

# `lint` and `test` in one call share the set-up; apt and pip want it one at a time.
.NOTPARALLEL:
.PHONY: help setup run test test-beside lint bench bench-gate bench-verdicts chaos faults fuzz bench-house docs rooms lab lab-list lab-stop atlas test-v2 test-fleet constraints audit-deps clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing: Docker, Python packages, the image (needs root)
	@.ci/setup run

run: setup ## Measure what --cpu-quota does on this host, in a few minutes
	$(BIN)/cgbench run cpu-quota-sweep --quick $(ARGS)

test: ## Run every test; those marked docker measure real containers
	@.ci/setup test
	$(BIN)/python -m tests $(ARGS)

test-beside: ## Run every test N times beside a process that keeps one CPU busy: N=5
	@.ci/setup test
	$(BIN)/python -m tests.bench.beside $(or $(N),5) $(ARGS)

lint: ## Check style, types and which module may import which
	@.ci/setup lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: ## Measure cgbench itself and compare with its bars
	@.ci/setup bench
	$(BIN)/python -m tests.bench $(ARGS)

bench-gate: ## Measure how the regression gate judges, and compare with its bars
	@.ci/setup bench
	$(BIN)/python -m tests.bench.gates $(ARGS)

# Longer parts are programs of their own: tests.bench.honest, tests.bench.power, tests.bench.lies.
bench-verdicts: ## Judge runs drawn at random of which the truth is known: N=10000 SEED=1; ARGS=--lies
	@.ci/setup lint
	$(BIN)/python -m tests.bench.verdicts --number $(or $(N),10000) --seed $(or $(SEED),1) $(ARGS)

bench-house: ## Count lines, layers, untyped borders and opened files, beside their bars
	@.ci/setup lint
	$(BIN)/python -m tests.bench.house $(ARGS)

docs: ## Renew what the manual takes from the code, and build its site into docs/site
	@.ci/setup docs
	$(BIN)/python -m tests.docs
	$(BIN)/zensical build --strict --config-file docs/mkdocs.yml

rooms: ## Draw which room of the package imports which, into docs/pictures/rooms.svg
	@.ci/setup lint
	$(BIN)/python -m tests.docs rooms

chaos: ## Kill cgbench at random moments and look at what is left: N=20 SEED=1
	@.ci/setup bench
	$(BIN)/python -m tests.bench.chaos --number $(or $(N),20) --seed $(or $(SEED),1) $(ARGS)

faults: ## Let every fault strike a measurement N times and look at how it ends: N=5 SEED=1
	@.ci/setup bench
	$(BIN)/python -m tests.bench.faults --number $(or $(N),5) --seed $(or $(SEED),1) $(ARGS)

fuzz: ## Damage files at random and see that each is answered: N=5000 SEED=1
	@.ci/setup lint
	$(BIN)/python -m tests.fuzz --number $(or $(N),5000) --seed $(or $(SEED),1) $(ARGS)

constraints: ## Lock every Python package anew, by version and hash, into .ci/locked
	$(or $(PYTHON),python3) .ci/lock.py

audit-deps: ## Ask whether a locked package has a known vulnerability
	@.ci/audit $(ARGS)

lab: ## Boot a machine with cgroup v2 (needs root), 4 minutes at first: HOST=bookworm
	@.ci/setup lab
	$(BIN)/python -m tests.lab start $(HOST)

lab-list: ## Name the machines that it can boot
	@.ci/setup test
	$(BIN)/python -m tests.lab list

atlas: ## Measure what each limit does on many hosts: ROWS="trixie here" ARGS=--quick
	@.ci/setup lab
	$(BIN)/python -m tests.lab.atlas $(ROWS) $(ARGS)

lab-stop: ## End that machine
	$(BIN)/python -m tests.lab stop

test-v2: ## Measure cgroup v2 in that machine, against `cat` there; some 30 minutes
	@.ci/setup lab
	$(BIN)/pytest -m 'lab and not fleet' tests/lab $(ARGS)

test-fleet: ## Measure this host and two such machines as one fleet; some 45 minutes
	@.ci/setup lab
	$(BIN)/pytest -m fleet tests/lab $(ARGS)

clean: ## Remove containers and build leftovers; results stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	rm -rf docs/site docs/.cache
	find cgbench tests workloads -name __pycache__ -prune -exec rm -rf {} +
	if [ -x $(BIN)/cgbench ]; then $(BIN)/cgbench clean; fi
