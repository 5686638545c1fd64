"""`cgbench watch` prints changes as lines, keeps them, and ends when it should."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cgbench.cli import app
from cgbench.commands import watch as watching
from cgbench.host.interrupts import Interrupted
from cgbench.records.watch import Look, Mark, Reading
from tests.made.run_builder import MadeUp, build

Ended = tuple[int, str, str]


@pytest.fixture
def cgbench(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Return what runs the command in this process: its status, and both of its outputs."""

    def run(*arguments: object) -> Ended:
        words = ["watch", *(str(one) for one in arguments)]
        status = app.command()(words, standalone_mode=False)
        return (status if isinstance(status, int) else 0, *capsys.readouterr())

    return run


def look(number: int, *marks: Mark) -> Look:
    one = Reading(id="a", name="web", state="running", cpus=float(number))
    return Look(at=f"2026-01-02T03:04:{number:02}", readings=(one,), marks=marks)


def changed(after: str) -> Mark:
    return Mark(kind="changed", at="2026-01-02T03:04:05", id="a", name="web", limit="pids",
                before="50", after=after)  # fmt: skip


class Looks:
    """Gives looks, and ends as a Ctrl-C does."""

    def __init__(self, *looks: Look) -> None:
        self.left = list(looks)
        self.late_s = 0.0
        self.closed = False

    def __call__(self, *_: object, **_named: object) -> Looks:
        time.sleep(self.late_s)
        return self

    def __enter__(self) -> Looks:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def look(self) -> Look:
        if not self.left:
            raise Interrupted
        return self.left.pop(0)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Looks]:
    def give(*some: Look) -> Looks:
        made = Looks(*some)
        monkeypatch.setattr(watching, "Watch", made)
        return made

    return give


def test_each_change_is_a_line_and_an_interrupt_is_how_it_ends(
    looks: Callable[..., Looks], cgbench: Callable[..., Ended]
) -> None:
    made = looks(look(1), look(2, changed("40")), look(3, changed("30")))
    status, said, _ = cgbench("--every", "100ms")
    assert status == 0
    assert [line.split(";")[0] for line in said.splitlines()] == [
        "2026-01-02 03:04:05 web changed pids 50 → 40",
        "2026-01-02 03:04:05 web changed pids 50 → 30",
    ]
    assert made.closed


def test_a_drill_fails_at_the_first_change(
    looks: Callable[..., Looks], cgbench: Callable[..., Ended]
) -> None:
    made = looks(look(1), look(2, changed("40")), look(3))
    status, _, _ = cgbench("--every", "100ms", "--fail-on-change")
    assert status == 1
    assert len(made.left) == 1
    looks(look(1, Mark(kind="came", at="2026-01-02T03:04:05")))
    assert cgbench("--every", "100ms", "--fail-on-change")[0] == 0


def test_what_the_log_kept_is_replayed(
    looks: Callable[..., Looks], cgbench: Callable[..., Ended], tmp_path: Path
) -> None:
    looks(look(1, changed("40")))
    _, said, _ = cgbench("--every", "100ms", "--log", tmp_path / "log")
    status, again, _ = cgbench("--replay", tmp_path / "log")
    assert (status, again) == (0, said)
    status, printed, _ = cgbench("--replay", tmp_path / "log", "--json", "-")
    (kept,) = (tmp_path / "log").read_text().splitlines()
    assert (status, Mark.model_validate_json(printed)) == (0, Mark.model_validate_json(kept))
    status, again, _ = cgbench("--replay", tmp_path / "log", "--json", tmp_path / "marks")
    assert (status, again) == (0, said)
    assert (tmp_path / "marks").read_text() == printed


def test_json_is_a_line_for_every_look(
    looks: Callable[..., Looks], cgbench: Callable[..., Ended], tmp_path: Path
) -> None:
    looks(look(1), look(2, changed("40")))
    _, said, _ = cgbench("--every", "100ms", "--json", "-")
    documents = [json.loads(line) for line in said.splitlines()]
    assert [one["readings"][0]["cpus"] for one in documents] == [1.0, 2.0]
    assert documents[1]["marks"][0]["after"] == "40"
    (tmp_path / "file").write_text("old\n")
    looks(look(1), look(2))
    cgbench("--every", "100ms", "--json", tmp_path / "file")
    assert len((tmp_path / "file").read_text().splitlines()) == 2, "it replaces what was there"


def test_it_ends_after_a_time(looks: Callable[..., Looks], cgbench: Callable[..., Ended]) -> None:
    looks(*(look(number) for number in range(60)))
    status, _, _ = cgbench("--every", "100ms", "--for", "300ms")
    assert status == 0


def test_the_time_runs_from_the_first_look_and_its_end_is_looked_at(
    looks: Callable[..., Looks], cgbench: Callable[..., Ended]
) -> None:
    made = looks(*(look(number) for number in range(60)))
    made.late_s = 0.3
    status, said, _ = cgbench("--every", "200ms", "--for", "200ms", "--json", "-")
    assert (status, len(said.splitlines())) == (0, 2)
    made = looks(look(1), look(2))
    status, said, _ = cgbench("--every", "200ms", "--for", "100ms", "--json", "-")
    assert (status, len(said.splitlines())) == (0, 1)


def test_too_often_is_refused(cgbench: Callable[..., Ended]) -> None:
    status, _, said = cgbench("--every", "1ms")
    assert status == 2
    assert "--every 1ms: too often" in said
    assert "At least 100ms." in said


def test_a_run_is_replayed_as_lines_and_as_looks(
    cgbench: Callable[..., Ended], tmp_path: Path
) -> None:
    folder = build(tmp_path, MadeUp(trials=1, quotas=(20_000,))).path
    status, printed, _ = cgbench("--replay", folder)
    assert status == 0
    said = "worker changed cpus quota no limit → 20000 µs; docker update --cpu-quota 20000"
    assert said in printed
    status, printed, _ = cgbench("--replay", folder, "--every", "500ms", "--json", "-")
    found = [Look.model_validate_json(line) for line in printed.splitlines()]
    assert status == 0
    assert found[-1].readings[0].cpus_limit == 0.2


def test_a_run_is_replayed_by_what_show_knows_it_by(
    cgbench: Callable[..., Ended], tmp_path: Path
) -> None:
    run = build(tmp_path, MadeUp(trials=1, quotas=(20_000,))).path
    for name in (run.name, run.name[:-2], run.parent.name):
        status, printed, said = cgbench("--replay", name, "--results", tmp_path)
        assert status == 0, said
        assert "--cpu-quota 20000" in printed
    status, _, said = cgbench("--replay", "gone", "--results", tmp_path)
    assert status == 2
    assert f"no run called gone under {tmp_path}, nor is there such a file" in said
