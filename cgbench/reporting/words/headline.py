"""What a run found, in words with numbers, from the run's own files alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cgbench.judging import checks, excuse, verdict
from cgbench.judging.estimates import Point, judged, points, same_throughput
from cgbench.judging.run import Run
from cgbench.judging.summary import Estimate
from cgbench.judging.unjudged import Unjudged, plain, unjudged
from cgbench.records.run import PointKey, Row, RunRecord
from cgbench.records.trial import TrialRecord
from cgbench.records.verdict import Outcome
from cgbench.reporting.words import own, shared, shortfall, ways
from cgbench.spec.metrics import METRICS
from cgbench.wording import (
    capitalised,
    count,
    milliseconds,
    percent_bound,
    quantity,
    signed_percent,
    significant,
)

# Fewer changes than this have no meaningful 95th percentile.
_ENOUGH_FOR_P95 = 20
_MOST_SHORTFALLS = 3
# `docker stats` this close to the usage counter is reported without an example.
_STATS_AGREE_PCT = 5.0
# Along these options the length of stalls has a trend to report.
_BANDWIDTH = frozenset({"cpu-quota", "cpu-period", "cpus"})
# These are best reported as errors in percent; other metrics have a verdict in words.
_SHARES_OF_CPU = ("cpus_used", "cpu_share_pct")

_UNJUDGED = (
    ("refused", "refused"), ("not measured", "not measured"), ("no reading", "without a reading"),
)  # fmt: skip

Rows = Sequence[Row]
_Judged = tuple[Point, Estimate, float]


def sentences(of: Run) -> list[str]:
    """Return the findings of a run, the most serious first; options and code are in backticks."""
    run, trials, rows, many = of.record, of.trials, of.rows, points(of)
    troubles, remarks = _failures(run, trials), [*_refusals(trials), *_docker_warnings(trials)]
    if not many:
        return [*troubles, *remarks] or ["No trial has finished yet, so nothing was measured."]
    metric = judged(run.experiment, many)
    limits, held = _verdicts(of, metric) or _limits(of, many, metric)
    # A finding from no more than half of the trials must not be the first sentence.
    scarce = 2 * sum(trial.status == "ok" for trial in trials) <= run.trials_planned
    found = [
        *own.sentences(of, many),
        _not_enforced(many),
        *troubles * (held and scarce),
        limits,
        *troubles * (not (held and scarce)),
        *shortfall.sentences(of, many, _MOST_SHORTFALLS),
        *remarks,
        _kills(many),
        _effect(rows),
        _stalls(many, rows),
        *ways.sentences(of),
        *shared.sentences(of),
        *own.loosened(of),
        _docker_stats(of, many),
    ]
    return [sentence for sentence in found if sentence]


def _verdicts(run: Run, metric: str | None) -> tuple[str, bool] | None:
    """Return the verdicts of an experiment that is not judged by CPUs; None for others."""
    verify = run.record.experiment.verify
    if verify is None or metric in _SHARES_OF_CPU:
        return None
    found = [verdict.judge(run, option) for option in verify.options]
    texts = (
        f"`--{one.option}` is {one.verdict.value}: {plain(one.reason).rstrip('.')}."
        for one in found
    )  # fmt: skip
    return " ".join(texts), all(one.verdict is Outcome.EFFECTIVE for one in found)


# What went wrong


def _failures(run: RunRecord, trials: Sequence[TrialRecord]) -> list[str]:
    failed = [trial for trial in trials if trial.status == "failed"]
    planned = count(run.trials_planned, "trial")
    found = []
    if failed:
        who = "The only trial" if run.trials_planned == 1 else f"{len(failed)} of {planned}"
        reasons = list(dict.fromkeys(trial.reason or "no reason is recorded" for trial in failed))
        more = f" (and {count(len(reasons) - 1, 'other reason')})" if len(reasons) > 1 else ""
        found.append(f"{who} failed: {reasons[0].rstrip('.')}{more}.")
    done = len(trials) - len(failed)
    if run.status != "finished" and trials:
        found.append(f"The run was not finished: {done} of {planned} done.")
    return found


def _refusals(trials: Sequence[TrialRecord]) -> list[str]:
    changes = [phase.change for trial in trials for phase in trial.phases]
    refused = {
        " ".join(f"--{name} {value}" for name, value in change.settings.items()): change.error
        for change in changes
        if change.error is not None
    }
    return [f"Docker refused `{what}`: {plain(why).rstrip('.')}." for what, why in refused.items()]


def _docker_warnings(trials: Sequence[TrialRecord]) -> list[str]:
    texts = dict.fromkeys(
        text for trial in trials for phase in trial.phases for text in phase.change.warnings
    )
    return [f"Docker warned: {text.rstrip('.')}." for text in texts]


# Enforced, experienced


def _not_enforced(many: Sequence[Point]) -> str | None:
    own = [point for point in many if point.changed]
    wrong = [point for point in own if point.enforced_as_intended is False]
    if not wrong:
        return None
    first = wrong[0]
    return (
        f"The kernel does not hold the requested value at {len(wrong)} of {_values(len(own))}: "
        f"after `{first.raw}` {' and '.join(first.files)} read {first.enforced}, "
        f"not {first.intended}."
    )


def _limits(run: Run, many: Sequence[Point], metric: str | None) -> tuple[str | None, bool]:
    """Say how well experienced follows declared, and whether it does so at every value."""
    name = run.record.experiment.option
    # Of an experiment that sets several options, the one that it is about.
    many = [one for one in many if one.option == name] or many
    expected = [
        (point, estimate, estimate.error_pct)
        for point in many
        if (estimate := point.estimate(metric)) is not None and estimate.error_pct is not None
    ]
    if not expected and run.record.experiment.programs:
        # What its load saw is said by itself.
        return None, True
    if not expected:
        return f"Nothing is expected of the workload, so no figure judges `--{name}`.", True
    # A ceiling that nobody came up to shows nothing, however near.
    ceiling = metric is not None and METRICS[metric].shows == "ceiling"
    known = [one for one in expected if not ceiling or one[1].within is not None]
    if not known:
        return (
            f"`--{name}` is inconclusive: the workload did not come up to any value of it.",
            True,
        )
    below = _distinct([one for one in expected if one not in known and one[0].changed])
    shown = {point.key for point, _, _ in known}
    open_values = [one for one in unjudged(run) if one.key.option == name and one.key not in shown]
    outside = [entry for entry in known if entry[1].within is False]
    if outside and metric is not None:
        # A departure that nothing else explains is certain, whatever may explain the others.
        open_still = verdict.judge(run, name).verdict is Outcome.INCONCLUSIVE
        reasons = [excuse.explained(run, point.key, metric, one) for point, one, _ in outside]
        doubt = next((one for one in reasons if one is not None), None) if open_still else None
        rest = _and_unjudged(open_values, below)
        return f"{_not_held(name, known, outside, doubt)}{rest}", False
    within = f"within {percent_bound(max(abs(error) for _, _, error in known))}"
    if same_throughput([point for point, _, _ in known]):
        medians = [estimate.median for _, estimate, _ in known]
        return (
            f"The same throughput at every `--{name}` from {_ends(many)}: {_range(medians)} "
            f"{known[0][1].unit}, {within} of what is declared{_but_stalls(many)}."
            f"{_and_unjudged(open_values, below)}",
            True,
        )
    where = _everywhere([point for point, _, _ in known])
    if open_values or below:
        keys = (*(point.key for point, _, _ in expected), *(one.key for one in open_values))
        asked = {key._replace(role="") for key in keys}
        where = f"at {_distinct(known)} of {_values(len(asked))}"
    return f"`--{name}` held {within} {where}.{_and_unjudged(open_values, below)}", True


def _and_unjudged(some: Sequence[Unjudged], below: int) -> str:
    """Say of which values nothing is said, as a sentence that follows another one.

    `below` is how many the workload did not come up to.
    """
    states = [one.state for one in some]
    parts = [f"{states.count(state)} {word}" for state, word in _UNJUDGED if state in states]
    parts += [f"{below} not reached"] * (below > 0)
    if not parts:
        return ""
    return f" Of the others nothing is known: {', '.join(parts)}."


def _not_held(
    name: str, known: Sequence[_Judged], outside: Sequence[_Judged], doubt: str | None
) -> str:
    """Say where a container got more than its limit, or else where it got less.

    A `doubt` is another possible cause, which makes the sentence inconclusive.
    """
    over = [entry for entry in outside if entry[2] > 0]
    point, worst, error = max(over or outside, key=lambda entry: abs(entry[2]))
    what, verb = ("held", "had") if over else ("reached", "got only")
    rest = [abs(other) for _, estimate, other in known if estimate.within]
    elsewhere = f" Elsewhere it held within {percent_bound(max(rest))}." if rest else ""
    open_words = "" if doubt is None else f" This is inconclusive: {doubt}."
    several = len({other.role for other, _, _ in known}) > 1
    who = f"container {point.role}" if several else "the container"
    got, declared = quantity(worst.median, worst.unit), quantity(worst.expected or 0, worst.unit)
    if got.partition(" ")[2] == declared.partition(" ")[2] != "%":
        declared = declared.partition(" ")[0]
    return (
        f"`--{name}` was not {what} at {_distinct(over or outside)} of "
        f"{_values(_distinct(known))}: at {point.place} {who} {verb} {got} "
        f"against {declared} declared ({signed_percent(error)}).{open_words}{elsewhere}"
    )


def _distinct(entries: Sequence[_Judged]) -> int:
    return len({point.key._replace(role="") for point, _, _ in entries})


def _but_stalls(many: Sequence[Point]) -> str:
    """Return the cost of longer periods, as the end of a sentence about equal throughput."""
    ends = _stall_ends(many)
    if ends is None or ends[1][1] <= ends[0][1]:
        return ""
    (_, least), (_, most) = ends
    return f"; but stalls grow from {milliseconds(least)} to {milliseconds(most)}"


def _everywhere(many: Sequence[Point]) -> str:
    own = [point for point in many if point.changed]
    if any(point.noted or point.number is None for point in own):
        return f"at {own[0].place}" if len(own) == 1 else f"at all {len(own)} values"
    return f"at {own[0].place}" if len(own) == 1 else f"at all {len(own)} values, {_ends(own)}"


def _ends(many: Sequence[Point]) -> str:
    """Return the least and greatest value in words: `10 % to 150 % of a CPU`."""
    ordered = sorted(many, key=lambda point: point.number if point.number is not None else 0.0)
    first, last = ordered[0].short, ordered[-1].words
    number, _, unit = first.partition(" ")
    return f"{number if last.endswith(f' {unit}') else first} to {last}"


def _values(number: int) -> str:
    return count(number, "value")


def _kills(many: Sequence[Point]) -> str | None:
    """Say where the kernel killed for want of memory, None where it did not."""
    places: dict[str, list[str]] = {}
    for point in many:
        if (point.median("oom_kills") or 0) > 0 and point.changed:
            places.setdefault(point.role, []).append(point.place)
    if not places:
        return None
    where = "; ".join(f"in {role} at {', '.join(found)}" for role, found in places.items())
    return f"The kernel killed a process for want of memory {where}."


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
    seen = [one for one in settle if one]
    if not seen:
        return capitalised(f"{stages}; no change showed in how the workload ran.")
    hidden = len(settle) - len(seen)
    slow = (
        f"p95 {milliseconds(float(np.percentile(seen, 95)))}"
        if len(seen) >= _ENOUGH_FOR_P95
        else f"slowest of {len(seen)}: {milliseconds(max(seen))}"
    )
    never = len(answer) - len(settle)
    unsettled = f" {never} of {count(len(answer), 'change')} never settled." if never > 0 else ""
    unseen = f" {count(hidden, 'change')} did not show in how the workload ran." * (hidden > 0)
    return f"A change took hold in {_median_ms(seen)} ({slow}); {stages}.{unsettled}{unseen}"


def _stalls(many: Sequence[Point], rows: Rows) -> str | None:
    longest: dict[PointKey, float] = {}
    for row in rows:
        if row.metric == "stall_max_ms":
            longest[row.key] = max(row.value, longest.get(row.key, 0.0))
    stalled = [point for point in many if point.changed and point.key in longest]
    if not stalled:
        return None
    worst = max(stalled, key=lambda point: longest[point.key])
    who = f" in {worst.role}" * (len({point.role for point in many}) > 1)
    sentence = f"Stalls reach {milliseconds(longest[worst.key])}{who} at {worst.place}"
    ends = _stall_ends(stalled)
    if ends is None:
        return f"{sentence}."
    (first, before), (last, after) = ends
    return (
        f"{sentence}; the 99th percentile {'grows' if after > before else 'falls'} from "
        f"{milliseconds(before)} at {first.short} to {milliseconds(after)} at {last.short}."
    )


def _stall_ends(many: Sequence[Point]) -> tuple[tuple[Point, float], tuple[Point, float]] | None:
    """Return the least and the greatest value with their 99th percentiles of stalls in ms.

    Both are of one container, set in one way: the first that has several.
    """
    curves: dict[tuple[str, str, str], list[Point]] = {}
    for point in many:
        curves.setdefault((point.role, point.option, point.via), []).append(point)
    return next((ends for one in curves.values() if (ends := _ends_of(one)) is not None), None)


def _ends_of(many: Sequence[Point]) -> tuple[tuple[Point, float], tuple[Point, float]] | None:
    """Return the ends of one curve, None where it has no two."""
    ordered = sorted(
        ((point.number, point, p99) for point in many
         if point.changed and point.number is not None and not point.noted
         and point.option in _BANDWIDTH and (p99 := point.median("stall_p99_ms")) is not None),
        key=lambda entry: entry[0],
    )  # fmt: skip
    if len(ordered) < 2 or ordered[0][0] == ordered[-1][0]:
        return None
    return ordered[0][1:], ordered[-1][1:]


def _docker_stats(run: Run, many: Sequence[Point]) -> str | None:
    """Say how far `docker stats` lies from the usage counter over the same seconds, and why."""
    differences = [
        (off, point) for point in many if (off := point.median("docker_stats_off_pct")) is not None
    ]  # fmt: skip
    if not differences:
        return None
    worst, point = max(differences, key=lambda entry: abs(entry[0]))
    bound = percent_bound(worst)
    if abs(worst) <= _STATS_AGREE_PCT:
        return f"`docker stats` came within {bound} of the usage counter over the same seconds."
    return (
        f"`docker stats` showed up to {bound} {'more' if worst > 0 else 'less'} than the usage "
        f"counter over the same seconds, in {point.role} at {point.place}."
        f"{_divided_without_steal(run) if worst > 0 else ''}"
    )


def _divided_without_steal(run: Run) -> str:
    """Say by how much `docker stats` shows too much since it leaves out what was stolen.

    The daemon divides by the host's CPU time from /proc/stat, of which it adds up all but steal and
    what guests used (getSystemCPUUsage in moby's daemon/stats).
    """
    accounts = [trial.harness for trial in run.finished if trial.harness is not None]
    cpus = run.record.host.cpus
    stolen = max(map(checks.stolen_cpus, accounts), default=0.0)
    if not checks.matters(stolen, cpus) or stolen >= cpus:
        return ""
    more = 100 * (cpus / (cpus - stolen) - 1)
    return (
        f" The hypervisor took up to {stolen:.2f} of {count(cpus, 'CPU')} away in a trial, which "
        f"`docker stats` leaves out of what it divides by: that makes {percent_bound(more)} of it."
    )


def _of(rows: Rows, metric: str) -> list[float]:
    return [row.value for row in rows if row.metric == metric]


def _median_ms(values: Sequence[float]) -> str:
    return milliseconds(float(np.median(values)))


def _range(values: Sequence[float]) -> str:
    low, high = significant(min(values), 3), significant(max(values), 3)
    return low if low == high else f"{low} to {high}"
