"""How often a worker stalls for how long at each point of a run, counted trial by trial."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cgbench.judging import container_data
from cgbench.records.run import PointKey, RunRecord
from cgbench.records.trial import TrialRecord
from cgbench.reporting.plots.curve import Curve, Floats
from cgbench.spec.option import Settings
from cgbench.units import NS_PER_MS

BINS_PER_DECADE = 40
"""The resolution of stall lengths: bins per factor of ten."""

# These probes record how late they woke up, and how long a service took: that is no stall.
_SLEEPING = ("wake", "request")

THRESHOLD_MS = 0.2
"""The shortest stall that the probe records."""


@dataclass
class StallCount:
    """Stalls counted by length; bin i begins at THRESHOLD_MS · 10^(i / BINS_PER_DECADE)."""

    seconds: float = 0.0
    longest_ms: float = 0.0
    bins: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def add(self, lengths_ms: Floats, seconds: float) -> None:
        """Count the stalls that were seen in so many seconds."""
        self.seconds += seconds
        if not lengths_ms.size:
            return
        self.longest_ms = max(self.longest_ms, float(lengths_ms.max()))
        which = BINS_PER_DECADE * np.log10(np.maximum(lengths_ms / THRESHOLD_MS, 1))
        counts = np.bincount(which.astype(np.int64), minlength=len(self.bins))
        counts[: len(self.bins)] += self.bins
        self.bins = counts

    def curve(self) -> Curve:
        """Return stalls a second (y) that last at least x ms, without plateaus' inner points."""
        longer = np.cumsum(self.bins[::-1])[::-1] / self.seconds
        edges = THRESHOLD_MS * 10 ** (np.arange(len(longer)) / BINS_PER_DECADE)
        x, y = np.append(edges, self.longest_ms), np.append(longer, 1 / self.seconds)
        inner = np.zeros(len(y), bool)
        inner[1:-1] = (y[:-2] == y[1:-1]) & (y[1:-1] == y[2:])
        return Curve(x[~inner], y[~inner])


def count_stalls(
    counts: dict[PointKey, StallCount],
    trial: TrialRecord,
    data: container_data.ContainerData,
    run: RunRecord,
) -> None:
    """Add one container's stalls to `counts`, from the windows that the stall metrics use."""
    if not data.stalls or data.record.probe in _SLEEPING:
        return
    role = data.record.role
    settings: Settings = next(
        (one.options for one in run.experiment.containers if one.role == role), {}
    )
    for phase in trial.phases:
        settings = phase.settings if phase.role == role else settings
        window = container_data.steady_window(phase, data, settings)
        if window is None:
            continue
        lengths = np.concatenate(
            [
                length[(begin >= window.t_begin_ns) & (begin < window.t_end_ns)]
                for begin, length in data.stalls
            ]
        )
        counts.setdefault(phase.point(role), StallCount()).add(lengths / NS_PER_MS, window.seconds)
