"""A stored trial, looked at again as `cgbench watch` looks at containers that run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from cgbench.errors import StoreError
from cgbench.judging import container_data
from cgbench.judging.container_data import ContainerData, Floats
from cgbench.judging.run import load
from cgbench.judging.seen import OPTION_OF
from cgbench.records.results import find_run
from cgbench.records.run_directory import RunDirectory
from cgbench.records.trial import FileChange, Phase, TrialRecord
from cgbench.records.versions import DAMAGED
from cgbench.records.watch import Look, Mark, Reading
from cgbench.spec.container import Container
from cgbench.spec.conversions import bandwidth
from cgbench.spec.option import Settings
from cgbench.spec.reach import in_bytes
from cgbench.units import NS_PER_S, NS_PER_US, parse_cpu_list

_COUNTERS = ("usage_ns", "periods", "throttled_periods", "memory_bytes", "oom_kills", "tasks")
# Three options set how much CPU time there is.
_LIMIT_OF = {
    **{flag: name for name, flag in OPTION_OF.items()}, "cpu-quota": "cpus", "cpu-period": "cpus",
}  # fmt: skip
# How each way of setting a value is called where it is what happened just before.
_WAYS = {"update": "docker update", "run": "docker run", "cgroupfs": "a write to the file"}


@dataclass(frozen=True)
class _Watched:
    """One container of a trial: its samples without gaps, and its limits from each moment on."""

    spec: Container
    t_ns: Floats
    values: Mapping[str, Floats]
    limits: tuple[tuple[int, Settings], ...]
    ended_ns: int | None


def run_called(text: str, results: Path) -> Path | None:
    """Return the folder of the run that `cgbench show` would show; None where a file is named.

    Raises StoreError where there is neither.
    """
    path = Path(text)
    # A name may be longer than a file may have.
    with suppress(OSError):
        if path.is_dir():
            return path
        if path.exists():
            return None
    try:
        return find_run(text, results).path
    except StoreError as error:
        raise StoreError(f"{error.message}, nor is there such a file", error.advice) from None


def looks(folder: Path, number: int | None, every_s: float) -> Iterator[Look]:
    """Yield a look at every `every_s` seconds of a trial of the run in `folder`.

    `number` is the trial's, None the first that was measured to its end. Raises StoreError where
    there is no such run or trial.
    """
    run = load(RunDirectory(folder))
    trial = next((one for one in run.finished if number in (None, one.number)), None)
    if trial is None:
        known = ", ".join(str(one.number) for one in run.finished) or "none"
        what = "no trial was" if number is None else f"trial {number} was not"
        raise StoreError(f"{folder}: {what} measured to its end", f"Trials: {known}.")
    specs = {one.role: one for one in run.record.experiment.containers}
    with run.directory.tables(trial.number) as tables:
        data = [container_data.load(tables, one, _COUNTERS) for one in trial.containers]
    watched = [_watched(trial, specs[one.record.role], one) for one in data]
    marks = sorted(_marks(trial), key=lambda one: one[0])
    step_ns = int(every_s * NS_PER_S)
    for end_ns in range(trial.t_begin_ns + step_ns, trial.t_end_ns + step_ns, step_ns):
        fresh = [mark for t_ns, mark in marks if end_ns - step_ns < t_ns <= end_ns]
        readings = tuple(_reading(one, end_ns - step_ns, end_ns) for one in watched)
        yield Look(at=_at(trial, end_ns), readings=readings, marks=tuple(fresh))


def _at(trial: TrialRecord, t_ns: int) -> str:
    try:
        begun = datetime.fromisoformat(trial.started)
    except ValueError:
        said = f"trial {trial.number} began at {trial.started!r}, which is no time"
        raise StoreError(said, DAMAGED) from None
    passed = timedelta(microseconds=(t_ns - trial.t_begin_ns) / NS_PER_US)
    return (begun + passed).isoformat(timespec="milliseconds")


def _watched(trial: TrialRecord, spec: Container, data: ContainerData) -> _Watched:
    caps: Settings = {"memory": spec.memory, "pids-limit": spec.pids, **spec.options}
    own = [phase for phase in trial.phases if phase.role == spec.role]
    ended = [
        phase.ending.t_ns
        for phase in trial.phases
        if phase.ending is not None and phase.ending.role == spec.role
    ]
    return _Watched(
        spec,
        data.t_ns.astype(float),
        {name: _filled(values) for name, values in data.counters.items()},
        (
            (0, caps),
            *((one.change.in_force_ns, {**caps, **one.settings}) for one in own if _held(one)),
        ),
        ended[0] if ended else None,
    )


def _filled(values: Floats) -> Floats:
    """Return readings in which a gap is what was read last; NaN until there is one."""
    places = np.where(np.isnan(values), 0, np.arange(len(values)))
    return values[np.maximum.accumulate(places)] if len(values) else values


def _held(phase: Phase) -> bool:
    """Say whether the kernel took a change over."""
    files = [one for one in phase.change.files if one.expected is not None]
    return phase.change.error is None and all(
        one.expected in (one.after, one.held) for one in files
    )


def _reading(one: _Watched, begin_ns: int, end_ns: int) -> Reading:
    first, last = (int(np.searchsorted(one.t_ns, t, "right")) - 1 for t in (begin_ns, end_ns))
    settings = next(found for t_ns, found in reversed(one.limits) if t_ns <= end_ns)
    gone = one.ended_ns is not None and one.ended_ns <= end_ns
    role = one.spec.role
    if gone or last < 0:
        return Reading(id=role, name=role, state="exited" if gone else "created")
    first = max(first, 0)
    used, periods, stood = (
        _grown(one, name, first, last) for name in ("usage_ns", "periods", "throttled_periods")
    )
    elapsed_ns = one.t_ns[last] - one.t_ns[first]
    memory, tasks, kills = (_last(one, name, last) for name in
                            ("memory_bytes", "tasks", "oom_kills"))  # fmt: skip
    most = in_bytes(settings.get("memory"))
    tasks_most = int(settings.get("pids-limit") or 0)
    return Reading(
        id=role,
        name=role,
        state="running",
        cpus=None if used is None or elapsed_ns <= 0 else used / elapsed_ns,
        cpus_limit=_cpus(settings),
        throttled_pct=None if not periods or stood is None else 100 * stood / periods,
        memory_bytes=memory,
        memory_limit=None if most is None else float(most),
        tasks=tasks,
        tasks_limit=float(tasks_most) if tasks_most > 0 else None,
        kills=kills,
    )


def _cpus(settings: Settings) -> float | None:
    quota, period = bandwidth(settings)
    chosen = str(settings.get("cpuset-cpus") or "")
    most = [] if quota is None else [quota / period]
    most += [float(len(parse_cpu_list(chosen)))] if chosen else []
    return min(most, default=None)


def _grown(one: _Watched, name: str, first: int, last: int) -> float | None:
    values = one.values.get(name)
    grown = float("nan") if values is None else float(values[last] - values[first])
    # A container that was started again has a new group, which counts anew.
    return grown if grown >= 0 else None


def _last(one: _Watched, name: str, at: int) -> int | None:
    values = one.values.get(name)
    return None if values is None or np.isnan(values[at]) else int(values[at])


def _marks(trial: TrialRecord) -> Iterator[tuple[int, Mark]]:
    """Yield what changed and what ended, each with its time."""
    for phase in trial.phases:
        for file in phase.change.files:
            t_ns = phase.change.in_force_ns if file.t_changed_ns is None else file.t_changed_ns
            if file.after != file.before or file.held != file.before:
                yield t_ns, _changed(trial, phase, file, t_ns)
        if phase.change.error is not None:
            yield phase.change.t_answer_ns, Mark(
                kind="refused", at=_at(trial, phase.change.t_answer_ns), id=phase.role,
                name=phase.role, limit=_LIMIT_OF.get(phase.option),
                reason=f"{_WAYS[phase.change.via]} --{phase.option} {phase.label}: "
                f"{phase.change.error}",
            )  # fmt: skip
        if phase.ending is not None:
            end = phase.ending
            yield end.t_ns, Mark(
                kind="killed" if end.oom_killed else "ended", at=_at(trial, end.t_ns),
                id=end.role, name=end.role, reason=end.reason,
            )  # fmt: skip


def _changed(trial: TrialRecord, phase: Phase, file: FileChange, t_ns: int) -> Mark:
    after = file.held if file.after == file.before else file.after
    before_s = (t_ns - phase.change.t_request_ns) / NS_PER_S
    wrong = None if file.expected in (None, after) else f"{file.expected} was asked for"
    return Mark(
        kind="changed", at=_at(trial, t_ns), id=phase.role, name=phase.role,
        limit=_LIMIT_OF.get(phase.option), path=file.path or file.file,
        before=file.before, after=after,
        just_before=f"{_WAYS[phase.change.via]} --{phase.option} {phase.label}, "
        f"{before_s:.3f} s before",
        reason=wrong or "",
    )  # fmt: skip
