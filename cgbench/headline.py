"""What a run found, in words with numbers; nothing but the run's own files is consulted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cgbench import metrics
from cgbench.points import Estimate, Point, PointKey, judged, points, row_key
from cgbench.record import RunRecord, TrialRecord
from cgbench.store import RunDirectory
from cgbench.wording import (
    capitalised,
    count,
    milliseconds,
    percent_bound,
    signed_percent,
    significant,
)

TOLERANCE_PCT = 2.0
"""How far experienced may lie from declared for a limit to count as held, in percent.

Steady windows span whole periods, where usage is exact to a few samples.
"""

# Fewer changes than this have no 95th percentile worth the name.
_ENOUGH_FOR_P95 = 20
# Values whose whole range is this narrow are called the same.
_FLAT_PCT = 2.0

Rows = Sequence[Mapping[str, Any]]


def sentences(directory: RunDirectory) -> list[str]:
    """Return the findings of a run, the gravest first; what one types stands in backticks."""
    run, trials = directory.run(), latest(directory)
    many, rows = points(directory), metrics.rows(directory)
    troubles = [*_failures(run, trials), *_docker_warnings(trials)]
    if not many:
        return troubles or ["No trial has finished yet, so nothing was measured."]
    limits, held = _limits(run.experiment.option, many)
    found = [
        _not_enforced(many),
        None if held else limits,
        *troubles,
        limits if held else None,
        _effect(rows),
        _stalls(many, rows),
        _docker_stats(many),
    ]
    return [sentence for sentence in found if sentence]


def latest(directory: RunDirectory) -> list[TrialRecord]:
    """Return the last record of each trial by number: a resumed run may hold a failure before."""
    records = {trial.number: trial for trial in directory.trials()}
    return [records[number] for number in sorted(records)]


# What went wrong


def _failures(run: RunRecord, trials: Sequence[TrialRecord]) -> list[str]:
    failed = [trial for trial in trials if trial.status == "failed"]
    planned = count(run.trials_planned, "trial")
    found = []
    if failed:
        reasons = list(dict.fromkeys(trial.reason or "no reason is recorded" for trial in failed))
        more = f" (and {count(len(reasons) - 1, 'other reason')})" if len(reasons) > 1 else ""
        found.append(f"{len(failed)} of {planned} failed: {reasons[0].rstrip('.')}{more}.")
    done = len(trials) - len(failed)
    if run.status != "finished" and trials:
        found.append(f"The run was not finished: {done} of {planned} done.")
    return found


def _docker_warnings(trials: Sequence[TrialRecord]) -> list[str]:
    texts = dict.fromkeys(
        text for trial in trials for phase in trial.phases for text in phase.change.warnings
    )
    return [f"Docker warned: {text.rstrip('.')}." for text in texts]


# Enforced, experienced


def _not_enforced(many: Sequence[Point]) -> str | None:
    wrong = [point for point in many if point.enforced_as_intended is False]
    if not wrong:
        return None
    first = wrong[0]
    return (
        f"The kernel does not hold what was asked for at {len(wrong)} of {_values(len(many))}: "
        f"after `{first.raw}` {' and '.join(first.files)} read {first.enforced}, "
        f"not {first.intended}."
    )


def _limits(name: str, many: Sequence[Point]) -> tuple[str, bool]:
    """Say how well experienced follows declared, and whether it does so everywhere."""
    metric = judged(many)
    known = [
        (point, estimate, estimate.error_pct)
        for point in many
        if (estimate := point.estimate(metric)) is not None and estimate.error_pct is not None
    ]
    if not known:
        return f"No figure of this run tells whether `--{name}` was held.", False
    astray = [entry for entry in known if abs(entry[2]) > TOLERANCE_PCT]
    if astray:
        return _not_held(name, known, astray), False
    within = f"within {percent_bound(max(abs(error) for _, _, error in known))}"
    medians = [estimate.median for _, estimate, _ in known]
    one_limit = len({estimate.expected for _, estimate, _ in known}) == 1
    if len(known) > 1 and one_limit and _spread_pct(medians) <= _FLAT_PCT:
        return (
            f"The same throughput at every `--{name}` from {_ends(many)}: "
            f"{_range(medians)} {known[0][1].unit}, {within} of what is declared.",
            True,
        )
    return f"`--{name}` held {within} {_everywhere([point for point, _, _ in known])}.", True


def _not_held(
    name: str,
    known: Sequence[tuple[Point, Estimate, float]],
    astray: Sequence[tuple[Point, Estimate, float]],
) -> str:
    point, worst, error = max(astray, key=lambda entry: abs(entry[2]))
    verb = "used" if error > 0 else "got only"
    rest = [abs(other) for _, _, other in known if abs(other) <= TOLERANCE_PCT]
    elsewhere = f" Elsewhere it held within {percent_bound(max(rest))}." if rest else ""
    return (
        f"`--{name}` was not held at {len(astray)} of {_values(len(known))}: at {point.words} the "
        f"container {verb} {significant(worst.median, 3)} {worst.unit} of "
        f"{significant(worst.expected or 0, 3)} declared ({signed_percent(error)}).{elsewhere}"
    )


def _everywhere(many: Sequence[Point]) -> str:
    return f"at {many[0].words}" if len(many) == 1 else f"at all {len(many)} values, {_ends(many)}"


def _ends(many: Sequence[Point]) -> str:
    """Return the least and greatest value in words: `10 % to 150 % of a CPU`."""
    ordered = sorted(many, key=lambda point: point.number if point.number is not None else 0.0)
    first, last = ordered[0], ordered[-1]
    return f"{first.short} to {last.words}"


def _values(number: int) -> str:
    return count(number, "value")


# Time to effect, stalls, docker stats


def _effect(rows: Rows) -> str | None:
    settle, answer, file = (_of(rows, name) for name in ("settle_ms", "answer_ms", "file_ms"))
    if not answer:
        return None
    parts = [f"Docker answers after {_median_ms(answer)}"]
    if file:
        parts.append(f"the interface file shows the new value after {_median_ms(file)}")
    stages = ", ".join(parts)
    if not settle:
        return capitalised(f"{stages}; no workload was seen to settle after a change.")
    slow = (
        f"p95 {milliseconds(float(np.percentile(settle, 95)))}"
        if len(settle) >= _ENOUGH_FOR_P95
        else f"slowest of {len(settle)}: {milliseconds(max(settle))}"
    )
    never = len(answer) - len(settle)
    unsettled = f" {never} of {count(len(answer), 'change')} never settled." if never > 0 else ""
    return f"A change took hold in {_median_ms(settle)} ({slow}); {stages}.{unsettled}"


def _stalls(many: Sequence[Point], rows: Rows) -> str | None:
    longest: dict[PointKey, float] = {}
    for row in rows:
        if row["metric"] == "stall_max_ms" and row["value"] is not None:
            key = row_key(row)
            longest[key] = max(row["value"], longest.get(key, 0.0))
    stalled = [point for point in many if point.key in longest]
    if not stalled:
        return None
    worst = max(stalled, key=lambda point: longest[point.key])
    sentence = f"Stalls reach {milliseconds(longest[worst.key])} at {worst.words}"
    ordered = sorted(
        (point for point in stalled if point.number is not None and point.median("stall_p99_ms")),
        key=lambda point: point.number or 0.0,
    )
    if len(ordered) < 2:
        return f"{sentence}."
    first, last = ((end, end.median("stall_p99_ms") or 0.0) for end in (ordered[0], ordered[-1]))
    verb = "grows" if last[1] > first[1] else "falls"
    return (
        f"{sentence}; the 99th percentile {verb} from {milliseconds(first[1])} at {first[0].short} "
        f"to {milliseconds(last[1])} at {last[0].short}."
    )


def _docker_stats(many: Sequence[Point]) -> str | None:
    """Say how far `docker stats` lies from the usage counter while limits are at rest."""
    differences = [
        (100 * (shown / used - 1), point, shown, used)
        for point in many
        if (shown := point.median("docker_stats_cpus")) is not None
        and (used := point.median("cpus_used"))
    ]  # fmt: skip
    if not differences:
        return None
    worst, point, shown, used = max(differences, key=lambda entry: abs(entry[0]))
    return (
        f"`docker stats` came within {percent_bound(worst)} of the usage counter while limits were "
        f"at rest; furthest off at {point.words}: {significant(shown, 3)} for "
        f"{significant(used, 3)} CPUs."
    )


def _of(rows: Rows, metric: str) -> list[float]:
    return [row["value"] for row in rows if row["metric"] == metric and row["value"] is not None]


def _median_ms(values: Sequence[float]) -> str:
    return milliseconds(float(np.median(values)))


def _spread_pct(values: Sequence[float]) -> float:
    middle = float(np.median(values))
    return 100 * (max(values) - min(values)) / middle if middle else float("inf")


def _range(values: Sequence[float]) -> str:
    low, high = significant(min(values), 3), significant(max(values), 3)
    return low if low == high else f"{low} to {high}"
