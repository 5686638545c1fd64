"""From the run of a search to what each of its phases says of the target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cgbench.judging.run import Run
from cgbench.records.trial import Phase
from cgbench.records.tune import Observation
from cgbench.spec.target import Target
from cgbench.wording import count

SHOWN = (
    "latency_p50_ms", "latency_p99_ms", "latency_max_ms", "requests_per_s", "failed_pct",
    "cpus_used", "throttled_periods_pct", "throttled_time_pct", "memory_max_bytes",
    "refaults_per_s", "io_bytes_per_s", "tasks_max", "oom_kills",
)  # fmt: skip
"""What of a phase a search keeps besides the target's metric."""

STOLEN_PCT = 2.0
"""A miss does not count where the hypervisor took more of the host's CPU time than this."""

OTHERS_CPUS, IDLE_PCT = 0.05, 25.0
"""Nor where other processes used so many CPUs, and less than this of the host was idle: what waits
for a CPU that somebody else has does not wait for its limit.
"""


_OF_ANSWERS = (
    "latency_p50_ms", "latency_p99_ms", "latency_max_ms", "requests_per_s", "failed_pct",
)  # fmt: skip


def observations(
    run: Run, role: str, target: Target, limits: Mapping[str, float]
) -> Iterator[Observation]:
    """Yield what each judged phase of a run's trials says; `limits` are the values by their texts.

    A miss beside other load on the host does not count, and neither does a phase in which the
    target's metric was not measured, unless the limit was refused, ended the program, or let the
    kernel kill a process of it: another may have taken its place.
    """
    values: dict[tuple[int, int], dict[str, float]] = {}
    for row in run.every_row:
        if row.role == role:
            values.setdefault((row.trial, row.phase), {})[row.metric] = row.value
    for trial in run.finished:
        for phase in trial.phases:
            if phase.prepares or phase.requested not in limits:
                continue
            found = values.get((trial.number, phase.number), {})
            yield _observation(run, phase, target, found, limits[phase.requested])


def _observation(
    run: Run,
    phase: Phase,
    target: Target,
    found: Mapping[str, float],
    limit: float,
) -> Observation:
    value = found.get(target.metric)
    killed = int(found.get("oom_kills", 0))
    met, reason = _judged(phase, target, value, killed)
    return Observation(
        limit=limit,
        value=value,
        met=met,
        reason=reason,
        metrics={name: found[name] for name in SHOWN if name in found},
        run=run.name,
        phase=phase.number,
    )


def _judged(
    phase: Phase, target: Target, value: float | None, killed: int
) -> tuple[bool | None, str | None]:
    if phase.change.error is not None:
        return False, f"the limit was refused: {phase.change.error}"
    if phase.ending is not None:
        return False, phase.ending.reason
    if killed:
        return (
            False,
            f"the kernel killed {count(killed, 'process', 'processes')} for lack of memory",
        )
    if value is None:
        why = "too few answers, or none" if target.metric in _OF_ANSWERS else "no reading of it"
        return None, f"the target's metric was not measured: {why}"
    if target.met_by(value):
        return True, None
    taken = disturbance(phase)
    return (None, taken) if taken is not None else (False, None)


def disturbance(phase: Phase) -> str | None:
    """Return in words what others took of the host's CPU time in a phase, None if too little."""
    account = phase.account
    if account is None or account.seconds <= 0:
        return None
    whole = account.cpus * account.seconds
    stolen_pct, idle_pct = 100 * account.steal_cpu_s / whole, 100 * account.idle_cpu_s / whole
    if stolen_pct > STOLEN_PCT:
        return f"the hypervisor took {stolen_pct:.0f} % of the host's CPU time meanwhile"
    others = (account.others_cpu_s or 0.0) / account.seconds
    if others <= OTHERS_CPUS or idle_pct >= IDLE_PCT:
        return None
    largest = f" ({account.largest[0].name})" if account.largest else ""
    return (
        f"other processes used {others:.2f} CPUs{largest} meanwhile, and only {idle_pct:.0f} % of "
        "the host were idle"
    )


def counted(many: Sequence[Observation]) -> list[Observation]:
    """Return the observations that count."""
    return [one for one in many if one.met is not None]
