"""What a metric is: its unit and words, which way is worse, within what a value holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cgbench.spec.band import SLOWEST_TIMER_HZ, THROTTLE_SLICE_S, Band, Conditions, Tolerance

Worse = Literal["lower", "higher", "either"]
"""The direction of a change that is a regression."""

Shows = Literal["exact", "floor", "ceiling", "none"]
"""What an expected value of a metric is: one to meet, one that may be exceeded, one that a workload
grows up to and may not have reached, or nothing: no expectation exists.
"""

WIDEST_PCT = 25.0
"""A value within a band of timer ticks that is wider than this part of it shows nothing."""

_EXACTLY = Band()


@dataclass(frozen=True)
class Metric:
    """One metric: `label` is its name on pages, plots and tables, where the unit stands beside it.

    Differences below `resolution`, in the metric's unit, and `resolution_pages` memory pages mean
    nothing: a tick, a sampling interval, one event in a window. `taken_away` says that other load
    on the host lowers it: such load takes from both sides of a share, and nothing from bytes or
    counts. Where it is not `graded` no wrong value is nearly right, and a median hides none that is
    too much. `band` is used where an experiment names no other.
    """

    name: str
    unit: str
    label: str
    description: str
    worse: Worse
    resolution: float = 0.0
    resolution_pages: int = 0
    shows: Shows = "none"
    taken_away: bool = False
    graded: bool = True
    band: Band = _EXACTLY

    def known_to(self, page_bytes: int) -> float:
        """Return the resolution in the metric's unit on a host with pages of that size."""
        return self.resolution + self.resolution_pages * page_bytes

    def holds(
        self, value: float, expected: float, allowed: Tolerance, *, grown: bool
    ) -> bool | None:
        """Say whether a value is as expected; None where it shows nothing.

        Below its limit a ceiling shows nothing, unless the workload has `grown` until it was ended.
        Within a band that hides too much nothing is shown, and outside of it there is an error.
        """
        if abs(value - expected) <= allowed.beside(value, expected):
            return None if self.hides(expected, allowed.below) else True
        if value < expected:
            return None if self.shows == "ceiling" and not grown else False
        return self.shows == "floor"

    def hides(self, expected: float, tolerance: float) -> bool:
        """Say whether a band of ticks or requests is too wide for a small value to be judged."""
        return self.unit in ("CPUs", "bytes/s") and tolerance > WIDEST_PCT / 100 * abs(expected)


def tolerance(metric: Metric, band: Band, expected: float, under: Conditions) -> Tolerance | None:
    """Return how far from `expected` a value may lie.

    None where it cannot be said: a tick, a request or a slice has no weight without the window that
    it lies in.
    """
    allowed = band.pct / 100 * abs(expected)
    if (band.requests or band.slices) and metric.unit == "bytes/s":
        if not under.window_s:
            return None
        handed = band.slices * THROTTLE_SLICE_S * abs(expected)
        allowed += (band.requests * under.in_flight + handed) / under.window_s
    if band.ticks_per_worker and metric.unit == "CPUs":
        if not under.window_s:
            return None
        ticks = band.ticks_per_worker * min(under.workers, under.cpus)
        allowed += ticks / (under.timer_hz or SLOWEST_TIMER_HZ) / under.window_s
    if metric.unit != "bytes":
        return Tolerance(allowed, allowed)
    page = under.cpus * under.page_bytes
    above = band.pages_per_cpu if band.pages_per_cpu_above is None else band.pages_per_cpu_above
    return Tolerance(allowed + band.pages_per_cpu * page, allowed + above * page)
