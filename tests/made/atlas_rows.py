"""Rows of an atlas, whose verdicts follow from their values, made without measuring anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cgbench.records import atlas, rules
from cgbench.records.atlas import AtlasRow
from cgbench.records.truth import Row, TruthTable
from cgbench.records.verdict import Declared, Enforced, Outcome, Point, TimeToEffect, Value, Verdict
from tests.made import records

STARTED = "2026-11-27T10:15:30+00:00"
CONTAINER = "3a" * 32
"""The identity of the container that was measured, which no page shows."""

_AFTER = {Outcome.EFFECTIVE: "50000", Outcome.WRONG: "50000", Outcome.IGNORED: "-1"}
_FELT = {Outcome.EFFECTIVE: 0.5, Outcome.WRONG: 0.9}


def verdict(option: str, outcome: Outcome) -> Verdict:
    """Return a verdict of one value that is effective, wrong or ignored, or of none at all."""
    tried = outcome in _AFTER
    reason, point = _felt(outcome)
    path = f"/sys/fs/cgroup/cpu/docker/{CONTAINER}/cpu.cfs_quota_us"
    files = {
        "cpu.cfs_quota_us": Enforced(
            before="-1", after=_AFTER.get(outcome), expected="50000", path=path
        )
    }
    value = Value(
        requested="0.5", note=None, role="worker", verdict=outcome, reason=reason, files=files
    )
    became = "held" if outcome is Outcome.EFFECTIVE else f"was {outcome}"
    worst = "the worst: " if outcome is Outcome.EFFECTIVE else ""
    return Verdict(
        option=option,
        verdict=outcome,
        reason=f"1 of 1 values {became}: {worst}{reason}" if tried else "nothing was tried",
        advice=None if outcome is Outcome.EFFECTIVE else "Leave it out.",
        declared=Declared(accepted=int(tried), refused=(), warnings=()),
        enforced=files if tried else {},
        experienced=() if point is None else (point,),
        values=(value,) if tried else (),
        control=None,
        time_to_effect_ms=TimeToEffect(answer=7.25, enforced=7.5, experienced=41.0),
        evidence=(records.RUN,),
    )


def _felt(outcome: Outcome) -> tuple[str, Point | None]:
    found = _FELT.get(outcome)
    if found is None:
        return f"Docker answered ok; in {CONTAINER} nothing changed", None
    error = 100 * (found - 0.5) / 0.5
    point = Point(
        requested="0.5", role="worker", metric="cpus_used", unit="CPUs", expected=0.5, value=found,
        error_pct=error, tolerance=0.01, tolerance_above=0.01, within=error == 0,
    )  # fmt: skip
    return f"at 0.5, cpus_used was {found:.5g} CPUs of 0.5 ({error:+.2f} %)", point


def table(verdicts: dict[str, Outcome], **host: Any) -> TruthTable:
    """Return the truth table of `records.HOST` with these fields changed."""
    return TruthTable(
        host=records.host(**host), started=STARTED, elapsed_s=200.0,
        rows=tuple(Row(verdict=verdict(option, outcome)) for option, outcome in verdicts.items()),
    )  # fmt: skip


def row(name: str, verdicts: dict[str, Outcome], **host: Any) -> AtlasRow:
    """Return a row of the atlas that was judged by today's rules."""
    found = table(verdicts, **host)
    return atlas.made(found, name=name, title=None, rules=rules.digest(), packages={})


def written(directory: Path, one: AtlasRow) -> Path:
    """Write a row, and return its path."""
    return atlas.write(one, directory)
