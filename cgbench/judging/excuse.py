"""What else may have moved a value: in which direction, and by how much at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from cgbench.judging import checks
from cgbench.judging.run import Run
from cgbench.judging.summary import Estimate
from cgbench.records.run import PointKey, Row
from cgbench.records.trial import Harness
from cgbench.spec.metrics import METRICS, SET_USED_PCT

# CPU time taken from an emulator is charged to whatever ran in it, and its ticks come late: with
# the outer host at a load of 5, quotas were missed by this much of what is expected, without load
# by 1 %.
EMULATED_LESS, EMULATED_MORE = 0.50, 0.39


@dataclass(frozen=True)
class Excuse:
    """Within which bounds a value would lie had nothing disturbed it; `reason` says what did."""

    low: float
    high: float
    reason: str

    def remains(self, estimate: Estimate) -> float:
        """Return how far from what is expected the value would still be, 0 if it could be there."""
        expected = estimate.expected or 0.0
        short = estimate.median < expected
        return max(0.0, expected - self.high if short else self.low - expected)

    def explains(self, estimate: Estimate) -> bool:
        """Say whether the value could lie within its band."""
        return self.remains(estimate) <= (estimate.tolerance or 0.0)


def explained(run: Run, key: PointKey, metric: str, estimate: Estimate) -> str | None:
    """Return what explains that a value is outside its band, None where nothing does."""
    rows = [row for row in run.rows if row.metric == metric and row.key == key]
    found = excuse(run, rows, estimate)
    return found.reason if found is not None and found.explains(estimate) else None


def excuse(run: Run, rows: Sequence[Row], estimate: Estimate) -> Excuse | None:
    """Return what may have moved the value that `rows` show, all of one metric at one point.

    None where nothing can have. Each trial has accounts of its own: a disturbed one of three does
    not move the median beyond the two others.
    """
    if not METRICS[rows[0].metric].taken_away:
        return None
    accounts = {trial.number: trial.harness for trial in run.finished if trial.harness is not None}
    by_trial: dict[int, list[float]] = {}
    for row in rows:
        by_trial.setdefault(row.trial, []).append(row.value)
    cpus = run.record.host.cpus
    # Of a share of some other resource, no larger part than of the CPU time of the host.
    scale = 100 / cpus if rows[0].unit == "%" else 1.0
    if rows[0].metric == "set_cpus_used":
        # What takes a CPU almost wholly leaves too little of it to count as used.
        scale = 1 / (1 - SET_USED_PCT / 100)
    taken = {number: taken_cpus(accounts.get(number), cpus) for number in by_trial}
    low = high = estimate.median
    if any(taken.values()):
        # Load only takes CPU time away. At the most, all of it was this container's.
        high = median(median(by_trial[one]) + scale * taken[one] for one in by_trial)
    reasons = [_words([accounts[one] for one in by_trial if taken[one]], cpus)]
    if run.record.host.emulated and estimate.expected is not None:
        low -= EMULATED_MORE * estimate.expected
        high += EMULATED_LESS * estimate.expected
        reasons.append(checks.EMULATED)
    reason = next((one for one in reasons if one), None)
    return None if reason is None or low == high else Excuse(low, high, reason)


def taken_cpus(account: Harness | None, cpus: int) -> float:
    """Return how many CPUs were taken from containers in a trial, 0 where the host was quiet."""
    if account is None:
        return 0.0
    stolen, others = account.steal_cpu_s / account.elapsed_s, checks.others_cpus(account)
    return (stolen if 100 * stolen / cpus > checks.STEAL_PCT else 0.0) + (
        others if others is not None and others > checks.OTHERS_CPUS else 0.0
    )


def _words(accounts: Sequence[Harness], cpus: int) -> str:
    """Say all that took CPU time away in these trials."""
    stolen = max((checks.steal_pct(one, cpus) for one in accounts), default=0.0)
    used = max((checks.others_cpus(one) or 0.0 for one in accounts), default=0.0)
    found = []
    if stolen > checks.STEAL_PCT:
        found.append(checks.STOLEN.format(stolen))
    if used > checks.OTHERS_CPUS:
        found.append(checks.USED.format(used))
    return ", and ".join(found)
