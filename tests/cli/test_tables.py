"""The terminal's tables: within 80 columns, and no number is cut short."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from cgbench.cli import tables
from cgbench.judging import checks, estimates
from cgbench.judging.run import load
from cgbench.records import run_directory
from cgbench.records.comparison import Judgement
from cgbench.records.verdict import Outcome
from cgbench.reporting.words import comparison
from tests.made import run_builder, sides, truth_tables


@pytest.fixture
def directory(tmp_path: Path) -> run_directory.RunDirectory:
    return run_builder.build(tmp_path)


def test_the_summary_is_one_row_per_value_within_80_columns(
    directory: run_directory.RunDirectory, capsys: Any
) -> None:
    run = load(directory)
    tables.print_summary(run)
    lines = capsys.readouterr().out.splitlines()
    values = list(dict.fromkeys(one.key.requested for one in run.summary))
    table = lines[1 : 2 + len(values)]
    assert [line.split()[1] for line in table[1:]] == values
    assert max(map(len, table)) <= 80


def test_beneath_the_summary_stands_why_to_doubt_it(
    directory: run_directory.RunDirectory, capsys: Any
) -> None:
    """Met by a new user: the terminal ended in a clean table where the page warned."""
    run = load(directory)
    tables.print_summary(run)
    said = capsys.readouterr().out.splitlines()
    doubts = checks.examine(run)
    assert doubts
    assert said[-len(doubts) :] == [
        f"{one.severity}: {one.reason.rstrip('.')}. {one.advice}" for one in doubts
    ]


def test_a_refused_value_keeps_its_row_and_has_its_reason_beneath(
    directory: run_directory.RunDirectory, capsys: Any
) -> None:
    refusal = "docker update --cpu-quota 25000 was refused: too large"
    tables.print_summary(run_builder.refuse(directory, "25000", refusal))
    said = capsys.readouterr().out.splitlines()
    assert ["worker", "25000", "refused"] in [line.split() for line in said]
    assert "--cpu-quota 25000 on worker: refused, too large" in said


def test_findings_fit_into_80_columns_and_lose_no_number(capsys: Any) -> None:
    found = sides.mixed()
    tables.print_comparisons([found])
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0] == comparison.headline(found)
    (regressed,) = found.of(Judgement.REGRESSED)
    assert lines[1].strip() == comparison.regression(regressed, found.level)
    table = lines[2:]
    assert max(map(len, table)) <= 80
    assert "…" not in out.replace("…+", "").replace("…-", ""), "nothing is cut short"
    signs = [line.split()[0] for line in table if line[:1] in "✗?+✓!" and line[:1]]
    assert signs == ["✗", "?", "+", "✓", "✓", "✓"]
    words = " ".join(out.split())
    for one in found.findings:
        assert f"--{one.option} {one.requested}" in words
        assert f"{one.change_pct:+.1f} %" in words
        assert f"{one.low_pct:+.1f}…{one.high_pct:+.1f}" in words
        assert one.metric in out


def test_the_widest_findings_fit_into_80_columns(capsys: Any) -> None:
    found = sides.mixed()
    wide = found.findings[0].model_copy(
        update={
            "option": "memory-reservation", "requested": "104857600", "role": "neighbour",
            "metric": "memory_swap_max_bytes", "judgement": Judgement.INCONCLUSIVE,
            "change_pct": -99.94, "low_pct": -100.0, "high_pct": 1234.5, "p": 0.00012,
        }
    )  # fmt: skip
    tables.print_comparisons([found.model_copy(update={"findings": (wide,)})])
    out = capsys.readouterr().out
    table = [line for line in out.splitlines()[1:] if "More trials" not in line]
    assert max(map(len, table)) <= 80
    for text in ("--memory-reservation", "104857600", "memory_swap_max_bytes", "-99.9 %",
                 "-100.0…+1234.5", "0.00012", "inconclusive"):  # fmt: skip
        assert text in out, text


def test_a_forbidden_comparison_prints_no_table_and_the_next_move(capsys: Any) -> None:
    tables.print_comparisons([sides.forbidden()])
    lines = capsys.readouterr().out.splitlines()
    assert "incomparable" in lines[0]
    assert lines[1] == "note: kernel differs, as allowed: 6.1.0 → 6.18.0"
    assert "--allow hostname" in lines[2]
    assert len(lines) == 3


def test_a_baseline_is_printed_within_80_columns(capsys: Any) -> None:
    kept = sides.side()
    lacking = kept.series[0].model_copy(update={"values": (None,) * 10, "requested": "77777"})
    tables.print_baseline(kept.model_copy(update={"series": (*kept.series, lacking)}))
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].startswith("base: cpu-quota-sweep, run ")
    assert "10 trials" in lines[0]
    assert "made-up: kernel 6.1.0" in lines[1]
    assert max(map(len, lines[2:])) <= 80
    assert "…" not in out
    assert "128 MiB" in out
    assert next(line for line in lines if "77777" in line).split()[-2:] == ["–", "–"]


def test_a_limit_that_stays_is_printed_below_the_table(capsys: Any) -> None:
    tables.print_truth(truth_tables.table(Outcome.EFFECTIVE))
    out = capsys.readouterr().out
    assert "--cpus: --memory-swap -1 after --memory 64m --memory-swap 384m is accepted" in out


BRACKETS = "[/x] [bold]\x1b[2J"
SHOWN = r"[/x] [bold]\x1b[2J"


def test_words_from_outside_are_shown_as_they_are_in_every_table(
    directory: run_directory.RunDirectory, capsys: Any
) -> None:
    run = load(directory)
    experiment = run.record.experiment.model_copy(update={"name": BRACKETS})
    record = run.record.model_copy(update={"experiment": experiment})
    tables.print_summary(dataclasses.replace(run, record=record))
    (row, *_) = (table := truth_tables.table(Outcome.EFFECTIVE, hostname=BRACKETS)).rows
    said = row.model_copy(update={"verdict": row.verdict.model_copy(update={"reason": BRACKETS})})
    tables.print_truth(table.model_copy(update={"rows": (said,)}))
    found = sides.mixed()
    one = found.findings[0].model_copy(update={"role": BRACKETS})
    tables.print_comparisons([found.model_copy(update={"findings": (one,), "notes": (BRACKETS,)})])
    kept = sides.side()
    host = kept.host.model_copy(update={"hostname": BRACKETS})
    tables.print_baseline(kept.model_copy(update={"name": BRACKETS, "host": host}))
    out = capsys.readouterr().out
    assert out.count(SHOWN) >= 7
    assert "\x1b" not in out


def test_a_neighbour_stands_with_whose_value_was_asked_for(
    directory: run_directory.RunDirectory, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container with 700 shares beside one that got 300 is not asked for 300."""
    run = load(directory)
    beside = [dataclasses.replace(one, owner="other") for one in estimates.points(run)]
    monkeypatch.setattr(tables, "points", lambda _run: beside)
    tables.print_summary(run)
    said = capsys.readouterr().out
    assert "other: 25000" in said
