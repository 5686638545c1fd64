"""Every way out: no text of a stored file or a daemon steers a terminal or becomes markup.

Security findings 11 (a headline from a baseline's text), 16 (square brackets) and, of the second
rank, "ESC passes to root's terminal" and "Markdown cells are raw".
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import io
import json
import operator
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cgbench.cli import app, exits, live, tables
from cgbench.cli.console import Console
from cgbench.errors import CgbenchError
from cgbench.records import baseline, truth
from cgbench.records.plausible import complaint
from cgbench.records.run import RunRecord
from cgbench.records.trial import TrialRecord
from cgbench.records.versions import BASELINE, RUN, TRUTH
from cgbench.reporting import junit
from tests.fuzz import hostile
from tests.fuzz.outputs import check_markdown, check_page, check_text, check_xml
from tests.made import records
from tests.made.histories import keep, steady

pytestmark = pytest.mark.usefixtures("no_library")

GOLDEN = Path(__file__).parent.parent / "golden" / "v1"
EVIL = "".join(one for one in hostile.TEXTS if len(one) < 100)
"""Every short hostile text in a row."""

TEXTS = [EVIL, "\x1b[31m\x9b", f"x | y |\n| forged |\n### <{hostile.MARK}>", "[/x] [bold]"]


def leaves(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, str):
        yield here
    for key, inner in (
        value.items() if isinstance(value, dict)
        else enumerate(value) if isinstance(value, list) else ()
    ):  # fmt: skip
        yield from leaves(inner, (*here, key))


def poisoned(document: Any, fits: Callable[[Any], object], text: str) -> tuple[Any, set[str]]:
    """Return a document with `text` wherever it may stand, and at which keys that is.

    Each key is tried alone, since a document full of long texts takes far longer to read.
    """
    places: dict[str, list[tuple[Any, ...]]] = {}
    for place in leaves(document):
        key = ".".join("*" if isinstance(part, int) else part for part in place)
        places.setdefault(key, []).append(place)
    document = copy.deepcopy(document)
    taken = set()
    for key, same in places.items():
        was = [(parent, last, parent[last]) for parent, last in holders(document, same)]
        for parent, last, _ in was:
            parent[last] = text
        with contextlib.suppress(ValueError, CgbenchError):
            fits(document)
            taken.add(key)
        for parent, last, value in was:
            parent[last] = value
    for key in taken:
        for parent, last in holders(document, places[key]):
            parent[last] = text
    fits(document)
    return document, taken


def holders(document: Any, places: list[tuple[Any, ...]]) -> Iterator[tuple[Any, Any]]:
    """Yield the dict or list that holds each place, and its key there."""
    for *way, last in places:
        yield functools.reduce(operator.getitem, way, document), last


def poisoned_run(results: Path, text: str) -> tuple[Path, set[str]]:
    """Return a golden run with `text` wherever run.json and trials.jsonl may hold it."""
    (golden,) = (GOLDEN / "golden-quota").iterdir()
    path = Path(shutil.copytree(golden, results / "golden-quota" / golden.name))
    (path / "phases.parquet").unlink()
    document, keys = poisoned(
        json.loads((path / "run.json").read_text()) | {"schema_version": RUN.written},
        RunRecord.model_validate, text,
    )  # fmt: skip
    (path / "run.json").write_text(json.dumps(document))
    record = RunRecord.model_validate(document)

    def fits(trial: Any) -> None:
        if (said := complaint(record, TrialRecord.model_validate(trial))) is not None:
            raise ValueError(said)

    lines = []
    for line in (path / "trials.jsonl").read_text().splitlines():
        trial, more = poisoned(json.loads(line), fits, text)
        lines.append(json.dumps(trial) + "\n")
        keys |= more
    (path / "trials.jsonl").write_text("".join(lines))
    return path, keys


def poisoned_file(results: Path, kind: str, text: str) -> Path:
    """Return a golden baseline or truth table with `text` wherever it may stand."""
    read: Callable[[Path], object] = {"baseline": baseline.read, "truth": truth.read}[kind]
    golden = {
        "baseline": GOLDEN / "baselines" / "golden-quota.json",
        "truth": next(GOLDEN.glob("verify/*/truth.json")),
    }[kind]
    written = {"baseline": BASELINE, "truth": TRUTH}[kind].oldest
    path = results / f"{kind}.json"

    def fits(document: Any) -> None:
        path.write_text(json.dumps(document))
        read(path)

    document, keys = poisoned(
        json.loads(golden.read_text()) | {"schema_version": written}, fits, text
    )
    assert "host.hostname" in keys
    fits(document)
    return path


@pytest.fixture(params=TEXTS, ids=["all", "controls", "markdown", "brackets"])
def text(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def command(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run a command in this process and return what it printed, which is looked at."""
    status = app.command()([str(one) for one in arguments], standalone_mode=False)
    out, err = capsys.readouterr()
    check_text(out, "standard output")
    check_text(err, "standard error")
    assert status in (None, 0, 3), err
    return out


def test_a_run_is_listed_shown_and_reported(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, keys = poisoned_run(tmp_path, text)
    assert {"host.hostname", "host.kernel", "phases.*.change.files.*.after"} <= keys
    listed = command(capsys, "list", "--results", tmp_path)
    assert path.name in listed
    command(capsys, "list", "--json", "-", "--results", tmp_path)
    assert "worker" in command(capsys, "show", path)
    command(capsys, "show", path, "--json", "-")
    command(capsys, "report", path, "-o", tmp_path / "page.html")
    check_page(tmp_path / "page.html")
    command(capsys, "baseline", "set", path, "--name", "kept", "--results", tmp_path)
    command(capsys, "baseline", "list", "--results", tmp_path)
    command(capsys, "baseline", "show", "kept", "--results", tmp_path)
    command(capsys, "baseline", "show", "kept", "--json", "-", "--results", tmp_path)


def test_a_damaged_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = poisoned_run(tmp_path, EVIL)
    document = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(document | {EVIL: 1, "status": EVIL}))
    assert "cannot be read" in command(capsys, "list", "--results", tmp_path)


def test_a_comparison_in_every_form(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    mine = poisoned_file(tmp_path, "baseline", text)
    forms = {name: tmp_path / name for name in ("x.xml", "x.md", "x.json", "x.html")}
    command(
        capsys, "compare", mine, GOLDEN / "baselines" / "golden-quota.json", "--junit",
        forms["x.xml"], "--markdown", forms["x.md"], "--json", forms["x.json"], "-o",
        forms["x.html"],
    )  # fmt: skip
    check_xml(forms["x.xml"])
    check_markdown(forms["x.md"])
    check_markdown(summary)
    check_text(forms["x.json"].read_text(), "the JSON")
    check_page(forms["x.html"])
    command(capsys, "baseline", "show", mine)
    command(capsys, "baseline", "show", mine, "--json", "-")


def test_a_truth_table_in_every_form(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = poisoned_file(tmp_path, "truth", text)
    table = truth.read(path)
    tables.print_truth(table)
    check_text(capsys.readouterr().out, "the table")
    (tmp_path / "x.xml").write_text(junit.of_truth(table))
    check_xml(tmp_path / "x.xml")
    command(capsys, "report", path, "-o", tmp_path / "page.html")
    check_page(tmp_path / "page.html")
    atlas = tmp_path / "atlas.html"
    rows = Path(shutil.copytree(GOLDEN / "verify", tmp_path / "no-rows"))
    command(capsys, "atlas", "--rows", rows, "--with", path, "-o", atlas)
    check_page(atlas)


def test_a_history_in_every_form(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"hostname": text, "cpu_model": text}
    before = [dataclasses.replace(one, host=known, note=text) for one in steady(0.5, 4)]
    after = [
        dataclasses.replace(one, host=known | {"kernel": text, "docker": text}, note=text)
        for one in steady(0.4, 4, seed=1)
    ]
    keep(tmp_path / "results", [*before, *after])
    arguments = ("history", "cpus_used", "--results", tmp_path / "results")
    page = tmp_path / "page.html"
    said = command(capsys, *arguments, "-o", page)
    assert "kernel" in said, "what changed with it is named"
    check_page(page)
    command(capsys, *arguments, "--json", "-")


def test_the_live_display_and_its_plain_lines(text: str) -> None:
    """Security finding 16: a container's last line, `[/usr/bin/x] failed`, ended the display."""
    failed = records.trial().model_copy(update={"status": "failed", "reason": text})
    plain = io.StringIO()
    with live.display(stream=plain) as observer:
        observer.run_started(records.run(), [], 0)
    shown = io.StringIO()
    dashboard = live.Dashboard()
    lines = live.PlainLines(Console(file=plain))
    for one in (dashboard, lines):
        one._clock.finish = lambda: None  # type: ignore[method-assign]
        one.trial_finished(failed)
    Console(file=shown).print(dashboard)
    check_text(plain.getvalue(), "the log")
    check_text(shown.getvalue(), "the display")
    assert "FAILED" in plain.getvalue()
    assert "failed" in shown.getvalue()


def test_progress_in_words(text: str) -> None:
    stream = io.StringIO()
    with live.progress(stream) as (progress, _detail):
        progress(text)
    check_text(stream.getvalue(), "the progress")


def test_an_error_of_cgbench_and_one_that_no_code_expected(
    text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    exits.status_of(CgbenchError(text, text))
    exits.status_of(ValueError(text))
    err = capsys.readouterr().err
    check_text(err, "standard error")
    assert len(err.splitlines()) <= 3


def test_what_the_daemon_says_is_kept_even_where_it_cannot_be_encoded() -> None:
    trial = records.trial().model_copy(update={"reason": "\ud800"})
    kept = TrialRecord.model_validate(dict(trial))
    assert kept.reason == "\\ud800"
    kept.model_dump_json().encode()
