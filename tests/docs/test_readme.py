"""The README is the front door: short, with every command, the verdicts and the way on."""

from __future__ import annotations

import re

import pytest

from cgbench.records.verdict import Outcome
from tests.docs.blocks import DOCS, ROOT
from tests.docs.reference.commands import all_commands

README = (ROOT / "README.md").read_text()


def test_it_is_short() -> None:
    assert 150 <= len(README.splitlines()) <= 200
    assert len(README.split()) <= 900


def test_it_names_every_command() -> None:
    commands = {one.name for one in all_commands()}
    assert len(commands) >= 8
    for command in commands:
        group, _, name = command.rpartition(" ")
        assert f"`cgbench {command}`" in README or (
            f"`cgbench {group} " in README and f"`{name}`" in README
        ), command


@pytest.mark.parametrize("outcome", list(Outcome))
def test_it_names_every_verdict(outcome: Outcome) -> None:
    assert f"- `{outcome.value}`" in README


def test_it_says_how_to_set_up_and_how_to_test() -> None:
    targets = re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"run", "test", "docs", "rooms"} <= set(targets)
    for target in set(re.findall(r"make ([a-z0-9-]+)", README)) - {"lists"}:
        assert target in targets
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    # A folder of a target's name, such as docs, would make it up to date.
    assert set(targets) == set(phony.split())
    assert "make run" in README
    assert "make test" in README


def test_it_leads_to_every_part_of_the_manual() -> None:
    parts = {path.parent.name for path in DOCS.rglob("*.md") if path.parent != DOCS}
    assert parts == {"tutorial", "how-to", "examples", "reference", "explanation"}
    for part in parts:
        assert f"(docs/{part}/" in README
