"""Why a number of a run should not be trusted, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from cgbench.judging import enforced
from cgbench.judging.intervals import relative_spread_pct
from cgbench.judging.run import Run
from cgbench.records.trial import Harness, TrialRecord
from cgbench.spec.conversions import bandwidth
from cgbench.units import NS_PER_MS, NS_PER_S, NS_PER_US
from cgbench.wording import count

Severity = Literal["note", "warning"]

# Thresholds of the checks, which judge the measurement, never a limit.
STEAL_PCT = 1.0
OTHERS_CPUS = 0.1
MISSED_PCT = 0.2
LATE_P99_US = 150.0
# From there on a 99th percentile may be that of requests that the prober itself noticed late.
LATE_REQUESTS_PCT = 1.0
DRIFT_PCT = 10.0
PERIODS_WANTED = 50
DISAGREEMENT_PCT = 5.0
TRIALS_WANTED = 5
HELD_ON_S = 1.0

STOLEN = "the hypervisor took up to {:.2f} CPUs away from this host during a trial"
USED = "other processes of this host used up to {:.2f} CPUs during a trial"
EMULATED = "this host's CPUs are emulated, and CPU time taken from the emulator is not visible"
"""What may have moved a value besides its limit, in words."""

DISTURBANCES = ("steal", "other tenants")
"""The checks that show that CPU time went elsewhere: a missing share is then no limit's fault."""


@dataclass(frozen=True)
class Check:
    """One doubt: `reason` has the numbers, `advice` the next move."""

    name: str
    severity: Severity
    reason: str
    advice: str


def examine(run: Run) -> list[Check]:
    """Return every reason to distrust a run's numbers, warnings first."""
    found = [check for look in _LOOKS for check in look(run)]
    return sorted(found, key=lambda check: check.severity != "warning")


def disturbances(run: Run) -> list[str]:
    """Return in words how CPU time of a run went elsewhere, where it did."""
    return [check.reason for check in _neighbours(run) if check.name in DISTURBANCES]


def stolen_cpus(account: Harness) -> float:
    """Return how many CPUs the hypervisor took in a trial."""
    return account.steal_cpu_s / account.elapsed_s


def matters(stolen: float, cpus: int) -> bool:
    """Say whether so many CPUs that were stolen are too large a part of a host's to be left out."""
    return 100 * stolen / cpus > STEAL_PCT


def others_cpus(account: Harness) -> float | None:
    """Return how many CPUs other processes of the host used in a trial, None if not known."""
    return None if account.other_cpu_s is None else account.other_cpu_s / account.elapsed_s


def _completeness(run: Run) -> Iterator[Check]:
    missing = run.record.trials_planned - len(run.finished) - len(run.failed)
    if missing > 0:
        yield Check(
            "incomplete", "warning",
            f"{missing} of {run.record.trials_planned} trials were not measured "
            f"(the run is {run.record.status})",
            f"Measure the rest: cgbench run --resume {run.record.run}",
        )  # fmt: skip
    for trial in run.failed:
        yield Check(
            "failed trial", "warning",
            f"trial {trial.number} failed: {trial.reason}",
            f"Measure it again: cgbench run --resume {run.record.run}",
        )  # fmt: skip
    # A trial may walk some of the values only.
    walked = Counter(
        key for trial in run.finished for key in {phase.point() for phase in trial.phases}
    )  # fmt: skip
    most = max(walked.values(), default=len(run.finished))
    if 0 < most < TRIALS_WANTED:
        yield Check(
            "few trials", "note",
            "one trial of each value: it allows no interval" if most == 1
            else f"{most} trials of a value at most: intervals are the whole range seen and cover "
            "the median with less than 95 %",
            "Leave out --quick, or measure more: --trials 6.",
        )  # fmt: skip


def _neighbours(run: Run) -> Iterator[Check]:
    noisy = [trial.harness for trial in run.finished if trial.harness is not None]
    stolen = [stolen_cpus(one) for one in noisy]
    if stolen and matters(max(stolen), run.record.host.cpus):
        yield Check(
            "steal", "warning",
            STOLEN.format(max(stolen)),
            "Repeat on a quieter machine, or trust CPU time and not throughput.",
        )  # fmt: skip
    others = [used for one in noisy if (used := others_cpus(one)) is not None]
    if len(others) < len(noisy):
        yield Check(
            "other tenants unknown", "note",
            f"in {len(noisy) - len(others)} of {len(noisy)} trials the CPU time of other processes "
            "is unknown: that of the daemon or of a container could not be read",
            "Check that nothing else ran on this host before trusting a deviation.",
        )  # fmt: skip
    if others and max(others) > OTHERS_CPUS:
        yield Check(
            "other tenants", "warning",
            USED.format(max(others)) + the_largest(run.finished),
            "Stop them: limits near the host's capacity read too low, stalls too long.",
        )  # fmt: skip


def the_largest(trials: Sequence[TrialRecord]) -> str:
    """Name the process of others that used the most in one phase, as far as one is known."""
    known = [
        (one.cpu_s / phase.account.seconds, one)
        for trial in trials
        for phase in trial.phases
        if phase.account is not None and phase.account.seconds > 0
        for one in phase.account.largest
    ]
    if not known:
        return ""
    cpus, one = max(known, key=lambda pair: pair[0])
    return f", the largest of them {one.name} (process {one.pid}: {cpus:.2f} in a phase)"


def _emulated(run: Run) -> Iterator[Check]:
    if run.record.host.emulated:
        yield Check(
            "emulated CPU", "note",
            EMULATED,
            "Trust limits and ratios; times to effect, stalls and speeds are the emulator's.",
        )  # fmt: skip


def _drift(run: Run) -> Iterator[Check]:
    speeds: dict[str, list[float]] = {}
    for row in run.every_row:
        if row.metric == "work_per_cpu_s":
            speeds.setdefault(row.role, []).append(row.value)
    # What one workload does in a second is not what another does.
    spreads = [relative_spread_pct(values) for values in speeds.values()]
    spread = max((one for one in spreads if one is not None), default=None)
    if spread is not None and spread > DRIFT_PCT:
        yield Check(
            "speed drift", "note",
            f"work per CPU-second varied by {spread:.0f} % between phases",
            "The CPUs' speed changed (shared cores, frequency): judge limits by CPU time and "
            "stalls, as this report does, not by throughput.",
        )  # fmt: skip


def _sampler(run: Run) -> Iterator[Check]:
    figures = [trial.sampler for trial in run.finished if trial.sampler is not None]
    if not figures:
        return
    missed = max(one.missed_pct for one in figures)
    if missed > MISSED_PCT:
        yield Check(
            "missed samples", "warning",
            f"the sampler missed up to {missed:.2f} % of its deadlines in a trial",
            "Its times to effect are less exact than reported; lower fast_hz or quieten the host.",
        )  # fmt: skip
    late = max(one.late_p99_us for one in figures)
    if late > LATE_P99_US:
        yield Check(
            "late samples", "note",
            f"1 % of a trial's samples were over {late:.0f} µs late",
            "Lateness is stored with each sample; rates use real times and stay right.",
        )  # fmt: skip
    classes = {one.scheduling for one in figures}
    if any("SCHED_OTHER" in name for name in classes):
        stepped_down = any("then SCHED_OTHER" in name for name in classes)
        yield Check(
            "sampler priority", "warning",
            f"the sampler ran as {', '.join(sorted(classes))}, not in real time",
            "Lower fast_hz, or quieten the host." if stepped_down
            else "Give it real-time bandwidth: run as root, in the root cpu cgroup.",
        )  # fmt: skip


def _held_on(run: Run) -> Iterator[Check]:
    waited = [
        phase.awaited
        for trial in run.finished
        for phase in trial.phases
        # What stands still has another reason than a slow host.
        if phase.awaited is not None and phase.awaited.state != "standing"
    ]
    longest_s = max((one.held_on_ns for one in waited), default=0) / NS_PER_S
    if longest_s > HELD_ON_S:
        yield Check(
            "held on", "note",
            f"what is judged came late: phases were held on for it by up to {longest_s:.1f} s",
            "Lengthen `hold`, or quieten the host: it was slower than the schedule allows for.",
        )  # fmt: skip


def _docker_stats(run: Run) -> Iterator[Check]:
    broke = [
        one.docker_stats_broke
        for trial in run.finished
        for one in trial.containers
        if one.docker_stats_broke is not None
    ]
    if broke:
        yield Check(
            "docker stats incomplete", "warning",
            f"messages of docker stats are missing at the end of {count(len(broke), 'container')}: "
            f"{broke[0]}",
            "Its figures are of the phases before that; repeat the run for all of them.",
        )  # fmt: skip


def _periods(run: Run) -> Iterator[Check]:
    phases = [(trial, phase) for trial in run.finished for phase in trial.phases]
    short = {
        phase.label
        for _, phase in phases
        if (phase.t_end_ns - phase.change.t_answer_ns)
        < PERIODS_WANTED * bandwidth(phase.settings)[1] * NS_PER_US
        and bandwidth(phase.settings)[0] is not None
    }
    if short:
        yield Check(
            "few periods", "note",
            f"fewer than {PERIODS_WANTED} periods per phase at {len(short)} of the values",
            "Lengthen `hold` (leave out --quick): each period's overrun then weighs less.",
        )  # fmt: skip
    hz = run.record.host.timer_hz
    quotas = [bandwidth(phase.settings)[0] for _, phase in phases]
    ticks = [quota for quota in quotas if quota is not None and hz and quota < 1_000_000 / hz]
    if ticks:
        yield Check(
            "quota below a tick", "note",
            f"a quota of {min(ticks)} µs is shorter than this kernel's tick of "
            f"{1_000_000 // (hz or 1)} µs",
            "The kernel notices at ticks: single periods overrun, later ones pay it back.",
        )  # fmt: skip


def _read_back(run: Run) -> Iterator[Check]:
    reasons: set[str] = set()
    for trial in run.finished:
        for phase in trial.phases:
            if phase.change.error is not None:
                changed = enforced.yet_changed(phase)
                if changed is not None:
                    reasons.add(f"{phase.option} {phase.label} was refused; {changed}")
            elif (departed := enforced.departure(phase)) is not None:
                reasons.add(departed.reason)
            reasons |= {f"Docker warned: {warning}" for warning in phase.change.warnings}
    for reason in sorted(reasons):
        yield Check(
            "read-back", "warning", reason,
            "Compare with `cat` on the interface file; the experienced figures are what counts.",
        )  # fmt: skip


def _agreement(run: Run) -> Iterator[Check]:
    lost = sum(probe.stalls_lost for trial in run.finished for probe in trial.probes)
    if lost:
        yield Check(
            "stalls lost", "warning",
            f"{lost} stalls did not fit in the probe's file",
            "Stall figures are too low; shorten the schedule.",
        )  # fmt: skip
    apart = []
    by_place: dict[tuple[int, int, str], dict[str, float]] = {}
    for row in run.every_row:
        by_place.setdefault((row.trial, row.phase, row.role), {})[row.metric] = row.value
    for found in by_place.values():
        used, probed = found.get("cpus_used"), found.get("probe_cpus")
        if used and probed is not None:
            apart.append(100 * abs(probed - used) / used)
    if apart and median(apart) > DISAGREEMENT_PCT:
        yield Check(
            "probe and kernel disagree", "warning",
            f"running time by the probe and by the kernel differ by {median(apart):.1f} % "
            "(median of all phases)",
            "Something other than throttling stopped the workers: check the host for other load.",
        )  # fmt: skip


def _probers(run: Run) -> Iterator[Check]:
    late = [
        (100 * probe.late / probe.stalls, probe.longest_unit_us * NS_PER_US / NS_PER_MS)
        for trial in run.finished
        for probe in trial.probes
        if probe.late is not None and probe.stalls
    ]
    share, longest_ms = max(late, default=(0.0, 0.0))
    if share > LATE_REQUESTS_PCT:
        yield Check(
            "late prober", "warning",
            f"the prober noticed up to {share:.1f} % of a trial's requests over 1 ms after they "
            f"were due, one {longest_ms:.0f} ms",
            "Their latency reads too long by as much: leave CPU time to the prober, or ask less "
            "often.",
        )  # fmt: skip


_LOOKS: tuple[Callable[[Run], Iterator[Check]], ...] = (
    _completeness,
    _neighbours,
    _sampler,
    _held_on,
    _docker_stats,
    _read_back,
    _agreement,
    _probers,
    _emulated,
    _drift,
    _periods,
)
