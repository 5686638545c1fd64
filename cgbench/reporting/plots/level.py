"""Memory, tasks or I/O of each container over one trial, beside what limits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cgbench.judging.container_data import ContainerData
from cgbench.records.run import RunRecord
from cgbench.records.trial import TrialRecord
from cgbench.reporting.plots.curve import Curve, Floats, thinned
from cgbench.reporting.plots.plot import DECLARED, GROUPS, MUTED, Key, Plot, Trace, line, vertical
from cgbench.reporting.plots.plotly_text import in_template
from cgbench.spec.option import Settings, Value
from cgbench.spec.reach import in_bytes
from cgbench.units import NS_PER_MS, NS_PER_S

MIB = 2**20
_RATE_WINDOW_NS = 500 * NS_PER_MS
# Limits up to this many times of what was held are in sight.
_HIGHEST = 3


@dataclass(frozen=True)
class Quantity:
    """What an option limits: a counter, which of the options is its limit, and how it is shown.

    The counter divided by `scale` is in `unit`. A `rate` is what it grows by in a second. A limit
    of None means that no option is a number in the same unit.
    """

    counter: str
    limit: str | None
    title: str
    unit: str
    scale: int
    rate: bool = False

    @property
    def counters(self) -> tuple[str, ...]:
        """What must be read for it: v2 keeps memory and swap apart."""
        if self.counter == "memory_swap_bytes":
            return (self.counter, "memory_bytes", "swap_bytes")
        return (self.counter,)


_MEMORY = Quantity("memory_bytes", "memory", "memory in use", "MiB", MIB)
_IO = Quantity("io_bytes", None, "read and written", "MiB/s", MIB, rate=True)
QUANTITIES = {
    "memory": _MEMORY,
    "memory-reservation": Quantity(
        "memory_bytes", "memory-reservation", "memory in use", "MiB", MIB
    ),
    "memory-swap": Quantity(
        "memory_swap_bytes", "memory-swap", "memory and swap in use", "MiB", MIB
    ),
    "kernel-memory": _MEMORY,
    "pids-limit": Quantity("tasks", "pids-limit", "tasks", "tasks", 1),
    "blkio-weight": _IO,
    "device-read-bps": replace(_IO, limit="device-read-bps"),
    "device-write-bps": replace(_IO, limit="device-write-bps"),
    "device-read-iops": _IO,
    "device-write-iops": _IO,
    "memory-swappiness": Quantity("swap_bytes", None, "swap in use", "MiB", MIB),
    "shm-size": _MEMORY,
}
"""What is drawn for each option that limits something else than CPU time."""


@dataclass(frozen=True)
class Level:
    """One container over a trial, x in s: what it held or moved, and its limit, NaN where none."""

    role: str
    seen: Curve
    limit: Curve


def level(
    trial: TrialRecord, data: ContainerData, run: RunRecord, origin: int, points: int
) -> Level | None:
    """Return a container's level over a trial, None where it was not read."""
    what = QUANTITIES.get(run.experiment.option)
    values = None if what is None else data.counters.get(what.counter)
    if what is None or values is None:
        return None
    read = ~np.isnan(values)
    t_ns, known = data.t_ns[read].astype(float), values[read]
    if len(t_ns) < 2:
        return None
    if what.rate:
        t_ns, known = _rate(t_ns, known)
    if not len(t_ns):
        return None
    seen = Curve((t_ns - origin) / NS_PER_S, known / what.scale)
    return Level(
        data.record.role,
        thinned(seen, points),
        _limit(trial, data.record.role, run, what, (origin, float(t_ns[-1]))),
    )


def _rate(t_ns: Floats, total: Floats) -> tuple[Floats, Floats]:
    """Return how much was moved in a second over the last window, at each reading after one."""
    ends = t_ns[t_ns >= t_ns[0] + _RATE_WINDOW_NS]
    before = np.interp(ends - _RATE_WINDOW_NS, t_ns, total)
    return ends, (total[len(total) - len(ends) :] - before) / _RATE_WINDOW_NS * NS_PER_S


def _limit(
    trial: TrialRecord, role: str, run: RunRecord, what: Quantity, ends: tuple[int, float]
) -> Curve:
    origin, last = ends
    (spec,) = (one for one in run.experiment.containers if one.role == role)
    steps = [(float(origin), spec.options)]
    steps += [
        (float(phase.change.in_force_ns), phase.settings)
        for phase in trial.phases
        if phase.role == role and phase.change.error is None
    ]
    values = [_number(settings, what) for _t, settings in steps]
    return Curve(
        (np.array([*(t for t, _ in steps), last]) - origin) / NS_PER_S,
        np.array([*values, values[-1]], dtype=float),
    )


def _number(settings: Settings, what: Quantity) -> float:
    value: Value | None = None if what.limit is None else settings.get(what.limit)
    if what.unit == "tasks":
        tasks = int(value or 0)
        return float(tasks) if tasks > 0 else float("nan")
    size = in_bytes(value)
    return float("nan") if size is None else size / what.scale


def plot(
    levels: Sequence[Level], option: str, changes: Sequence[tuple[float, str]], trial: int
) -> Plot | None:
    """Plot what each container held or moved over a trial, with its limit and the changes."""
    what = QUANTITIES.get(option)
    if what is None or not levels:
        return None
    data: list[Trace] = []
    keys = []
    limited = False
    for one, (colour, _mark) in zip(levels, GROUPS, strict=False):
        whose = f" of {one.role}" if len(levels) > 1 else ""
        data.append(
            line(one.seen.x, one.seen.y, colour, width=1.25,
                 hovertemplate=f"%{{x:.3f}} s: %{{y:.4g}} {what.unit}"
                 f"{in_template(whose)}<extra></extra>")
        )  # fmt: skip
        keys.append(Key(f"{what.title}{whose}", colour, "line"))
        if not np.isnan(one.limit.y).all():
            limited = True
            data.append(
                line(one.limit.x, one.limit.y, DECLARED, shape="hv", width=1.75,
                     hovertemplate=f"%{{y:.4g}} {what.unit} declared"
                     f"{in_template(whose)}<extra></extra>")
            )  # fmt: skip
    if limited:
        keys.append(Key(f"--{what.limit}", DECLARED, "line"))
    most = max(float(one.seen.y.max()) for one in levels)
    limits = [float(y) for one in levels for y in one.limit.y if not np.isnan(y)]
    # A limit that lifts all limits would leave the rest on the ground.
    shown = max([most, *(limit for limit in limits if limit <= _HIGHEST * most)])
    meaning = (
        "The rate is what the kernel counted in the last half second."
        if what.rate
        else "Each point is one reading of the kernel's counter."
    )
    return Plot(
        name="level",
        title=f"Trial {trial}: {what.title}, at most {most:.4g} {what.unit}",
        reading=f"{meaning} Dotted lines are the changes.",
        summary=f"Changes: {', '.join(f'{after} at {t:.1f} s' for t, after in changes)}.",
        keys=tuple(keys),
        data=data,
        layout={
            "xaxis": {"title": {"text": "s since the first sample"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": what.unit}, "range": [0, 1.1 * shown or 1]},
            "shapes": [vertical(round(t, 3), MUTED) for t, _ in changes],
        },
        height=340,
        wide=True,
    )
