"""What a trial may come to hold is asked for before it begins, and refused with the numbers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cgbench.engine.engine import Engine
from cgbench.errors import PreconditionError
from cgbench.host.scratch import headroom, ownership
from cgbench.measuring import demand, launch, trial
from cgbench.measuring.demand import Demand
from cgbench.measuring.probe import ProbeFile, Task, file_bytes
from cgbench.measuring.site import Site
from cgbench.spec import experiment_file
from cgbench.spec.experiment import Experiment
from cgbench.spec.schedule import TrialPlan, planned
from cgbench.spec.workload import ProbeKind
from tests.made.host_tree import HostTree, hybrid

MIB = 2**20
GIB = 2**30

TEXT = """
name = "mine"
title = "t"
question = "q"
option = "memory"
[[containers]]
role = "worker"
workload = "grow"
size = "1m"
{worker}
[[containers]]
role = "other"
workload = "cache"
size = "40m"
memory = "32m"
{other}
[[steps]]
role = "worker"
hold = "{hold}"
{step}
"""


def experiment(
    worker: str = "", other: str = "", hold: str = "1s", step: str = 'set = { memory = "96m" }'
) -> Experiment:
    text = TEXT.format(worker=worker, other=other, hold=hold, step=step)
    return experiment_file.parse(text, "test")


def asked(experiment: Experiment, number: int = 0) -> Demand:
    plan = planned(experiment, 2, seed=1)[number]
    return demand.of(plan, experiment, trial.deadline_s(plan, experiment))


@pytest.fixture
def tree(tmp_path: Path) -> HostTree:
    tree = hybrid(tmp_path / "root")
    tree.memory(total=10 * GIB, available=8 * GIB)
    return tree


def site(tree: HostTree, docker: Path) -> Site:
    engine = SimpleNamespace(root_dir=lambda: docker)
    return Site(cast(Engine, engine), "image", "x", tree.root, root=tree.root)


def plan_of(experiment: Experiment) -> TrialPlan:
    return planned(experiment, 2, seed=1)[0]


@pytest.mark.parametrize(
    ("worker", "step", "cap_mib"),
    [
        ("", 'set = { memory = "96m" }', 256),
        ("", 'set = { memory = ["96m", "900m", "64m"], memory-swap = -1 }', 900),
        ('memory = "64m"', 'set = { memory = "96m" }', 96),
        ('options = { memory = "48m" }', 'set = { memory-swap = "96m" }', 48),
        ("", 'set = { memory = "96m" }\nvia = "run"', 96),
    ],
)
def test_the_highest_value_of_a_walk_counts_as_a_containers_cap(
    worker: str, step: str, cap_mib: int
) -> None:
    assert asked(experiment(worker, step=step)).caps == (cap_mib + 32) * MIB


def test_containers_of_a_memory_group_are_not_counted_twice() -> None:
    text = TEXT.format(worker="group = true", other="", hold="1s", step='set = { memory = "96m" }')
    text = text.replace("[[containers]]", 'group = "64m"\n[[containers]]', 1)
    assert asked(experiment_file.parse(text, "test")).caps == 32 * MIB


def test_files_that_workloads_write_count_as_disk() -> None:
    assert asked(experiment()).disk == 40 * MIB


@pytest.mark.parametrize("kind", ["spin", "wake", "fork", "request"])
def test_the_size_of_a_probe_file_is_known_before_it_is_made(
    tmp_path: Path, kind: ProbeKind
) -> None:
    task = Task(kind, count=1, pace_ns=10_000 if kind == "wake" else None)
    with ProbeFile(tmp_path / "probe", 3, 2.5, 65534, task) as made:
        assert made.path.stat().st_size == file_bytes(3, 2.5, task)


def test_probe_files_and_samples_grow_with_the_schedule() -> None:
    short, long = asked(experiment()), asked(experiment(hold="1h", worker="workers = 128"))
    assert long.probes > 30 * GIB
    assert long.spool > 100 * short.spool
    assert short.memory == short.caps + short.probes + short.spool + short.read_back


def test_what_fits_is_promised_in_a_lease_until_the_trial_ends(tree: HostTree) -> None:
    mine = experiment()
    wanted = asked(mine)
    with demand.granted(wanted, plan_of(mine), site(tree, tree.root)):
        assert ownership.promised_memory(tree.root) == wanted.memory
    assert ownership.promised_memory(tree.root) == 0


def test_caps_beyond_the_hosts_memory_are_refused_with_the_numbers(tree: HostTree) -> None:
    """Finding 7: a file that asks for 900 GB of memory sent the host to its OOM killer."""
    mine = experiment('memory = "900g"')
    with (
        pytest.raises(PreconditionError) as caught,
        demand.granted(asked(mine), plan_of(mine), site(tree, tree.root)),
    ):
        pass
    assert caught.value.exit_code == 4
    assert caught.value.message.startswith("trial 1 (caps 900 GiB, probe files ")
    assert "the host has 8 GiB free and keeps 1 GiB, 10 % of its memory" in caught.value.message
    assert ownership.every(tree.root) == []


def test_a_workloads_file_that_fills_dockers_disk_is_refused_before_the_trial(
    tree: HostTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 18: two cache workloads, each within what is free, filled Docker's disk together."""
    mine = experiment()
    docker = tmp_path / "docker"
    docker.mkdir()
    looked: list[tuple[int, Path]] = []

    def require(size: int, purpose: str, folder: Path, root: Path) -> None:
        looked.append((size, folder))
        if folder == docker:
            raise PreconditionError(f"{purpose} of {size} does not fit")

    monkeypatch.setattr(headroom, "require_disk", require)
    with (
        pytest.raises(PreconditionError, match="files of the workloads"),
        demand.granted(asked(mine), plan_of(mine), site(tree, docker)),
    ):
        pass
    assert looked[-1] == (40 * MIB, docker)
    assert ownership.every(tree.root) == []


def test_a_trial_that_does_not_fit_starts_no_container(
    tree: HostTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: Any) -> None:
        raise AssertionError("a container was started")

    monkeypatch.setattr(launch, "start_all", start)
    mine = experiment('memory = "900g"')
    with pytest.raises(PreconditionError):
        trial.run_trial(plan_of(mine), mine, site(tree, tree.root), cast(Any, None))


@pytest.mark.parametrize("name", experiment_file.builtin_names())
def test_every_built_in_experiment_fits_a_host_of_two_gibibytes(name: str) -> None:
    mine = experiment_file.load(name)
    for plan in planned(mine, 4, seed=1):
        wanted = demand.of(plan, mine, trial.deadline_s(plan, mine))
        assert wanted.memory < 2 * GIB, (name, str(wanted))
