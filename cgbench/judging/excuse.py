"""What else may have moved a value: in which direction, and by how much at most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from cgbench.judging import checks
from cgbench.judging.run import Run
from cgbench.judging.summary import Estimate
from cgbench.records.run import PointKey, Row
from cgbench.records.trial import Harness
from cgbench.spec.band import SLOWEST_TIMER_HZ
from cgbench.spec.conversions import bandwidth
from cgbench.spec.metrics import METRICS, SET_USED_PCT
from cgbench.units import NS_PER_S

# CPU time taken from an emulator is charged to whatever ran in it, and its ticks come late: with
# the outer host at a load of 5, quotas were missed by this much of what is expected, without load
# by 1 %.
EMULATED_LESS, EMULATED_MORE = 0.50, 0.39
_OF_PERIODS = ("throttled_periods_pct", "skipped_periods_pct")
LATE_TICKS = (
    "the hypervisor delayed this host's ticks, and of a period shorter than two of them a late one "
    "loses what was left of the quota"
)
STOOD_STILL = "this host stood still just before an end of the window"
# A task's turn on a CPU ends at a timer tick, and a window cuts one at either end.
_CUT_TURNS = 2


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
        return self.remains(estimate) <= estimate.allowed


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
    accounts = {trial.number: trial.harness for trial in run.finished if trial.harness is not None}
    if rows[0].metric == "cpu_share_pct":
        return _of_turns(run, rows, accounts)
    if not METRICS[rows[0].metric].taken_away:
        return None
    by_trial = dict.fromkeys(row.trial for row in rows)
    cpus = run.record.host.cpus
    # Of a share of some other resource, no larger part than of the CPU time of the host.
    scale = 100 / cpus if rows[0].unit == "%" else 1.0
    if rows[0].metric == "set_cpus_used":
        # What takes a CPU almost wholly leaves too little of it to count as used.
        scale = 1 / (1 - SET_USED_PCT / 100)
    taken = {number: taken_cpus(accounts.get(number), cpus) for number in by_trial}
    late = _late_ticks(run, rows) if rows[0].metric == "cpus_used" else {}
    for number in late.keys() & accounts.keys():
        taken[number] += late[number] * checks.stolen_cpus(accounts[number])
    low = high = estimate.median
    if any(taken.values()):
        # Load only takes CPU time away. At the most, all of it was this container's.
        limits = _left_of_quotas(run, rows)
        high = median(
            median(
                row.value + min(scale * taken[one], limits.get(row, math.inf))
                for row in rows
                if row.trial == one
            )
            for one in by_trial
        )
    borrowed = _borrowed(run, rows)
    if any(borrowed.values()):
        low -= median(borrowed.values())
        high += median(borrowed.values())
    reasons = [_words([accounts[one] for one in by_trial if taken[one]], cpus)]
    if any(borrowed.values()):
        reasons.append(STOOD_STILL)
    if any(taken[number] for number in late):
        reasons.insert(0, LATE_TICKS)
    if run.record.host.emulated and estimate.expected is not None:
        low -= EMULATED_MORE * estimate.expected
        high += EMULATED_LESS * estimate.expected
        reasons.append(checks.EMULATED)
    reason = next((one for one in reasons if one), None)
    return None if reason is None or low == high else Excuse(low, high, reason)


def _borrowed(run: Run, rows: Sequence[Row]) -> dict[int, float]:
    """Return by trial how much CPU time may count on the wrong side of a window's end, in CPUs.

    While a host stands still no tick ends what runs, and the kernel charges it all the same; a
    quota is kept over the next periods. So both more and less is possible.
    """
    found = dict.fromkeys((row.trial for row in rows), 0.0)
    if rows[0].metric != "cpus_used":
        return found
    spec = next(one for one in run.record.experiment.containers if one.role == rows[0].role)
    running = min(spec.workers, run.record.host.cpus)
    phases = {(row.trial, row.phase) for row in rows}
    for one in run.every_row:
        mine = one.role == rows[0].role and (one.trial, one.phase) in phases
        if mine and one.metric == "stood_still_pct":
            found[one.trial] = max(found[one.trial], running * one.value / 100)
    return found


def _left_of_quotas(run: Run, rows: Sequence[Row]) -> dict[Row, float]:
    """Return how much of its quota a container may not have had, in CPUs, by its row.

    In a period in which it was throttled it had all of its quota, whatever else ran. So nothing can
    have taken more than the quotas of the other periods, and of those that the kernel skipped.
    Rows without such a figure are left out.
    """
    if rows[0].metric not in ("cpus_used", "probe_cpus"):
        return {}
    shares: dict[tuple[int, int], dict[str, float]] = {}
    for one in run.every_row:
        if one.metric in _OF_PERIODS and one.role == rows[0].role:
            shares.setdefault((one.trial, one.phase), {})[one.metric] = one.value / 100
    found = {}
    for row in rows:
        known = shares.get((row.trial, row.phase), {})
        if row.expected is not None and len(known) == len(_OF_PERIODS):
            throttled, skipped = (known[name] for name in _OF_PERIODS)
            found[row] = row.expected * min(1.0, max(0.0, 1 - throttled) + skipped)
    return found


def _late_ticks(run: Run, rows: Sequence[Row]) -> dict[int, float]:
    """Return by trial what a stolen CPU costs a container besides its own time, in CPUs.

    The kernel takes what a container used off its quota at ticks. A tick that comes late by what a
    period is longer than it finds the next period begun, and what was left of the quota is lost
    (kernel/sched/fair.c, __refill_cfs_bandwidth_runtime). Only where a period is shorter than two
    ticks does this weigh more than the lateness itself. Trials where it does not are left out.
    """
    tick_us = 1_000_000 / (run.record.host.timer_hz or SLOWEST_TIMER_HZ)
    phases = {
        (trial.number, phase.number): phase for trial in run.finished for phase in trial.phases
    }
    found = {}
    for row in rows:
        phase = phases.get((row.trial, row.phase))
        if phase is None or phase.role != row.role:
            continue
        quota, period = bandwidth(phase.settings)
        if quota is not None and tick_us < period < 2 * tick_us:
            found[row.trial] = max(0.0, quota / (period - tick_us) - 1)
    return found


def _of_turns(run: Run, rows: Sequence[Row], accounts: Mapping[int, Harness]) -> Excuse | None:
    """Return what other load may have done to a share of CPU time, None where there was none.

    It takes from both sides alike, but leaves fewer turns to divide: of those a window cuts one at
    either end, and each weighs more.
    """
    cpus = run.record.host.cpus
    disturbed = [number for number in accounts if taken_cpus(accounts[number], cpus)]
    by_trial: dict[int, list[tuple[float, float]]] = {}
    for one in rows:
        allowed = _CUT_TURNS * _turn_pct(run, one) if one.trial in disturbed else 0.0
        by_trial.setdefault(one.trial, []).append((one.value - allowed, one.value + allowed))
    low, high = (
        median(median(pair[end] for pair in pairs) for pairs in by_trial.values()) for end in (0, 1)
    )
    words = _words([accounts[one] for one in disturbed if one in by_trial], cpus)
    return Excuse(low, high, words) if low < high else None


def _turn_pct(run: Run, row: Row) -> float:
    """Return which share one tick is of what a container and its rivals used in a phase.

    0 where their use is not known: then it excuses nothing.
    """
    tick_s = 1 / (run.record.host.timer_hz or SLOWEST_TIMER_HZ)
    used = next(
        (
            one.value
            for one in run.every_row
            if one.metric == "cpus_used"
            and (one.trial, one.phase, one.role) == (row.trial, row.phase, row.role)
        ),
        None,
    )
    phase = next(
        (
            phase
            for trial in run.finished
            if trial.number == row.trial
            for phase in trial.phases
            if phase.number == row.phase
        ),
        None,
    )
    if not used or phase is None:
        return 0.0
    held_s = (phase.t_end_ns - phase.change.in_force_ns) / NS_PER_S
    return tick_s * row.value / (held_s * used) if held_s > 0 else 0.0


def taken_cpus(account: Harness | None, cpus: int) -> float:
    """Return how many CPUs were taken from containers in a trial, 0 where the host was quiet."""
    if account is None:
        return 0.0
    stolen, others = checks.stolen_cpus(account), checks.others_cpus(account)
    return (stolen if checks.matters(stolen, cpus) else 0.0) + (
        others if others is not None and others > checks.OTHERS_CPUS else 0.0
    )


def _words(accounts: Sequence[Harness], cpus: int) -> str:
    """Say all that took CPU time away in these trials."""
    stolen = max(map(checks.stolen_cpus, accounts), default=0.0)
    used = max((checks.others_cpus(one) or 0.0 for one in accounts), default=0.0)
    found = []
    if checks.matters(stolen, cpus):
        found.append(checks.STOLEN.format(stolen))
    if used > checks.OTHERS_CPUS:
        found.append(checks.USED.format(used))
    return ", and ".join(found)
