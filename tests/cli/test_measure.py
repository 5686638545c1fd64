"""`run` and `verify`, with something made up in place of what measures."""

from __future__ import annotations

import contextlib
import functools
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from cgbench.cli import exits, measure, options
from cgbench.cli.terminal import PRINTED
from cgbench.commands import run as runs
from cgbench.commands import session
from cgbench.commands import verify as verification
from cgbench.errors import OptionError, PreconditionError, StoreError
from cgbench.host.interrupts import Interrupted
from cgbench.records import truth
from cgbench.records.run_directory import RunDirectory
from cgbench.records.verdict import Outcome
from tests.made import truth_tables
from tests.made.run_builder import MadeUp, build


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the host without asking it."""
    opened = contextlib.nullcontext()
    monkeypatch.setattr(session, "opened", lambda *_arguments, **_named: opened)


def status_of(command: Callable[[], None]) -> int:
    try:
        command()
    except typer.Exit as ended:
        return ended.exit_code
    return 0


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ((Outcome.EFFECTIVE, Outcome.UNSUPPORTED, Outcome.REJECTED), 0),
        ((Outcome.EFFECTIVE, Outcome.INCONCLUSIVE), exits.UNDECIDED),
        ((Outcome.IGNORED, Outcome.EFFECTIVE), exits.FAILED),
        ((Outcome.INCONCLUSIVE, Outcome.REVERTED), exits.FAILED),
    ],
)
def test_verify_ends_with_the_worst_of_its_verdicts(
    outcomes: tuple[Outcome, ...], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = truth_tables.table(*outcomes)
    monkeypatch.setattr(verification, "verify", lambda *_arguments, **_named: table)
    ended = status_of(lambda: measure.verify([], no_report=True, results=tmp_path))
    assert ended == status
    assert len(list(tmp_path.glob("verify/*/truth.json"))) == 1, "whatever it says, it is kept"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.EFFECTIVE, exits.ERROR),
        (Outcome.INCONCLUSIVE, exits.ERROR),
        (Outcome.IGNORED, exits.FAILED),
    ],
)
def test_verify_keeps_the_verdicts_and_says_what_else_could_not_be_measured(
    outcome: Outcome, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    why = "--cpus: states: Docker did not answer within 45 s"
    table = truth_tables.table(outcome).model_copy(update={"unmeasured": (why,)})
    monkeypatch.setattr(verification, "verify", lambda *_arguments, **_named: table)
    ended = status_of(lambda: measure.verify([], quiet=True, results=tmp_path))
    assert ended == status
    assert f"not measured: {why}" in capsys.readouterr().out
    (kept,) = tmp_path.glob("verify/*/truth.json")
    assert truth.read(kept) == table
    assert "Not measured" in (kept.parent / "report.html").read_text()


def test_verify_writes_every_form_and_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = truth_tables.table(Outcome.EFFECTIVE)
    monkeypatch.setattr(verification, "verify", lambda *_arguments, **_named: table)
    document, junit = tmp_path / "t.json", tmp_path / "t.xml"
    measure.verify([], json_file=document, junit=junit, results=tmp_path)
    (kept,) = tmp_path.glob("verify/*/truth.json")
    assert document.read_text() == kept.read_text()
    assert junit.read_text().startswith("<?xml")
    assert (kept.parent / "report.html").is_file()
    assert f"table: {kept}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("outcome", "shown"),
    [(Outcome.EFFECTIVE, False), (Outcome.WRONG, True), (Outcome.INCONCLUSIVE, True)],
)
def test_quietly_verify_says_only_what_is_bad(
    outcome: Outcome, shown: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    table = truth_tables.table(outcome)
    monkeypatch.setattr(verification, "verify", lambda *_arguments, **_named: table)
    status_of(lambda: measure.verify([], quiet=True, no_report=True, results=tmp_path))
    out = capsys.readouterr().out
    assert (outcome.value in out) is shown
    assert shown or not out


def test_verify_prints_json_and_nothing_else_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = truth_tables.table(Outcome.WRONG)
    monkeypatch.setattr(verification, "verify", lambda *_arguments, **_named: table)
    measuring = functools.partial(measure.verify, [], results=tmp_path, no_report=True)
    assert status_of(lambda: measuring(json_file=PRINTED)) == exits.FAILED
    (kept,) = tmp_path.glob("verify/*/truth.json")
    assert capsys.readouterr().out == kept.read_text()


def test_verify_prints_junit_and_nothing_else_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = truth_tables.table(Outcome.WRONG)
    monkeypatch.setattr(verification, "verify", lambda *_arguments, **_named: table)
    monkeypatch.chdir(tmp_path)
    measuring = functools.partial(measure.verify, [], results=tmp_path, no_report=True)
    assert status_of(lambda: measuring(junit=PRINTED)) == exits.FAILED
    suite = ET.fromstring(capsys.readouterr().out)
    assert suite.find(".//failure") is not None
    assert not Path("-").exists()
    with pytest.raises(OptionError, match="can be printed"):
        measuring(junit=PRINTED, json_file=PRINTED)


KNOWN = """
[[known]]
option = "{option}"
verdict = "wrong"
reason = "the vendor is asked"
until = {until}
"""


@pytest.mark.parametrize(("until", "status"), [("9999-12-31", 0), ("2020-01-01", exits.FAILED)])
def test_what_is_known_does_not_count_until_its_day(
    until: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    table = truth_tables.table(Outcome.WRONG, Outcome.EFFECTIVE)
    monkeypatch.setattr(verification, "verify", lambda *_arguments, **_named: table)
    known, junit = tmp_path / "known.toml", tmp_path / "t.xml"
    known.write_text(KNOWN.format(option=table.rows[0].verdict.option, until=until))
    measuring = functools.partial(measure.verify, [], results=tmp_path, no_report=True)
    assert status_of(lambda: measuring(known=known, junit=junit)) == status
    assert "the vendor is asked" in capsys.readouterr().out
    assert ("<failure" in junit.read_text()) == (status != 0)


def test_against_an_earlier_table_only_what_got_worse_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(against: str | None) -> int:
        return status_of(functools.partial(
            measure.verify, [], results=tmp_path, no_report=True, against=against,
            only=options.Rows.FAILING,
        ))  # fmt: skip

    for outcomes, status in (
        ((Outcome.WRONG, Outcome.EFFECTIVE), exits.FAILED),
        ((Outcome.WRONG, Outcome.EFFECTIVE), 0),
        ((Outcome.WRONG, Outcome.IMPRECISE), exits.FAILED),
    ):
        earlier = sorted(tmp_path.glob("verify/*/truth.json"))[:1]
        table = truth_tables.table(*outcomes)
        monkeypatch.setattr(verification, "verify", lambda *_, shown=table, **__: shown)
        assert ended(str(earlier[0]) if earlier else None) == status
    out = capsys.readouterr().out
    assert "as before" in out
    assert f"worse since then: --{table.rows[1].verdict.option} effective → imprecise" in out


def test_an_earlier_table_that_is_not_there_is_told_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    with pytest.raises(StoreError, match="no truth table is called gone"):
        measure.verify([], against="gone", results=tmp_path)


class Host:
    """Where `run` measures two experiments; what happens in the second is given."""

    def __init__(self, results: Path, second: BaseException | None) -> None:
        self.first, self.second = (build(results / name, MadeUp(trials=1)) for name in "ab")
        self._error = second

    def begun(self, *_arguments: object) -> Iterator[RunDirectory]:
        yield self.first
        if isinstance(self._error, PreconditionError):
            raise self._error
        yield self.second

    def measure(self, directory: RunDirectory, *_arguments: object) -> None:
        if directory is self.second and self._error is not None:
            raise self._error


def host(monkeypatch: pytest.MonkeyPatch, results: Path, second: BaseException | None) -> Host:
    made = Host(results, second)
    monkeypatch.setattr(runs, "begun", made.begun)
    monkeypatch.setattr(runs, "measure", made.measure)
    return made


def page_of(directory: RunDirectory) -> Path:
    return directory.path / "report.html"


def test_run_writes_a_page_for_each_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = host(monkeypatch, tmp_path, None)
    assert status_of(lambda: measure.run(["cpu-quota-sweep"])) == 0
    assert page_of(made.first).is_file()
    assert page_of(made.second).is_file()


def test_after_an_interrupt_no_page_is_written_and_the_next_moves_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = host(monkeypatch, tmp_path, Interrupted())
    with pytest.raises(Interrupted):
        measure.run(["cpu-quota-sweep"])
    assert not page_of(made.first).exists()
    assert not page_of(made.second).exists()
    first, second = made.first.path.name, made.second.path.name
    assert capsys.readouterr().err.splitlines()[-3:] == [
        f"cgbench: no page was written; write it with: cgbench report {first}",
        f"cgbench: finished trials are kept; go on with: cgbench run --resume {second}",
        f"cgbench: no page was written; write it with: cgbench report {second}",
    ]


def test_run_writes_a_line_of_json_for_each_run_or_prints_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = host(monkeypatch, tmp_path, None)
    lines = tmp_path / "lines"
    measuring = functools.partial(measure.run, ["cpu-quota-sweep"], no_report=True, quiet=True)
    assert status_of(lambda: measuring(json_file=lines)) == 0
    assert not capsys.readouterr().out, "quiet, and nothing is bad"
    written = lines.read_text()
    assert [json.loads(line)["run"] for line in written.splitlines()] == [
        made.first.path.name, made.second.path.name
    ]  # fmt: skip
    assert status_of(lambda: measuring(json_file=PRINTED)) == 0
    assert capsys.readouterr().out == written


def test_an_experiment_that_cannot_be_measured_takes_no_page_from_those_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = host(monkeypatch, tmp_path, PreconditionError("no swap"))
    with pytest.raises(PreconditionError):
        measure.run(["cpu-quota-sweep"])
    assert page_of(made.first).is_file()


def test_a_failed_trial_ends_with_1_and_without_a_page_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = host(monkeypatch, tmp_path, None)
    made.second = build(tmp_path / "c", MadeUp(trials=2, failed={1: "killed"}))
    ended = status_of(lambda: measure.run(["cpu-quota-sweep"], no_report=True))
    assert ended == exits.FAILED
    assert not page_of(made.first).exists()
    assert f"Its page: cgbench report {made.second.path.name}" in capsys.readouterr().out
