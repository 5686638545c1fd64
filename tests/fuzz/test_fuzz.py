"""Damaged files are read or refused in one line: what the fuzzer found, and a little more of it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from cgbench.errors import CgbenchError
from tests.fuzz import calls, damage, inputs, outputs
from tests.fuzz.__main__ import answer, answers
from tests.fuzz.inputs import Input

pytestmark = pytest.mark.usefixtures("no_library")

FOUND = Path(__file__).parent / "found.jsonl"
CASES = [json.loads(line) for line in FOUND.read_text().splitlines()]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Input]:
    return {one.name: one for one in inputs.prepare(tmp_path_factory.mktemp("inputs"))}


@pytest.fixture(autouse=True)
def own_temporary_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let no temporary file that a command left be taken for one of the tests."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_what_was_found_once_is_answered_in_one_line(
    case: dict[str, object], known: dict[str, Input], tmp_path: Path
) -> None:
    said = answer(known[str(case["input"])], case, tmp_path)
    assert str(case["says"]) in said


def test_other_damage_is_answered_too(known: dict[str, Input], tmp_path: Path) -> None:
    many = list(known.values())
    said = [(seed, what, said) for seed, what, said in answers(1, 40, tmp_path, many)]
    assert len(said) == 40
    assert [one for one in said if one[1] != "ok"] == []


def test_an_input_that_is_not_damaged_is_read(known: dict[str, Input], tmp_path: Path) -> None:
    nothing = {"file": "x.toml", "do": "cut", "at": 2**20}
    assert answer(known["experiment cpu-quota-sweep"], nothing, tmp_path) == "read"


def test_an_answer_of_many_lines_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> None:
        error = CgbenchError("one", "two")
        error.advice = "two\nthree"
        raise error

    monkeypatch.setitem(calls.CALLS, "experiment", (fail,))
    with pytest.raises(outputs.Finding):
        calls.answer("experiment", tmp_path)


def test_the_same_seed_draws_the_same_case(known: dict[str, Input]) -> None:
    many = list(known.values())
    assert [inputs.draw(many, seed)[1] for seed in range(20)] == [
        inputs.draw(many, seed)[1] for seed in range(20)
    ]
    assert all(json.dumps(inputs.draw(many, seed)[1]) for seed in range(20))
    assert damage.VALUES


def test_a_command_that_takes_too_much_memory_is_a_finding() -> None:
    had = outputs.memory_mib()
    outputs.check_memory(had)
    with pytest.raises(outputs.Finding, match="MiB of memory"):
        outputs.check_memory(had - outputs.MOST_MIB)
