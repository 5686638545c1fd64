"""What a program or its load says of itself over a window: by its own word, not measured here."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from statistics import median

from cgbench.judging.container_data import Window
from cgbench.records.trial import Reported

RATE, HIGHEST = "reported_rate_per_s", "reported_max_ms"


def reported(many: Iterable[Reported], role: str, window: Window) -> dict[str, float | None]:
    """Return the reported figures of one container whose time lies wholly in a window.

    A figure is of the time since the one before it, so the first one after the window's begin is of
    another. Rates are averaged over their times, maxima are the highest, all others medians.
    """
    by_metric: dict[str, list[Reported]] = {}
    for one in many:
        if one.role == role:
            by_metric.setdefault(one.metric, []).append(one)
    found: dict[str, float | None] = {}
    for metric, some in by_metric.items():
        spans = [
            (before.t_ns, after.t_ns, after.value)
            for before, after in pairwise(some)
            if before.t_ns >= window.t_begin_ns and after.t_ns <= window.t_end_ns
        ]
        if not spans:
            continue
        values = [value for _, _, value in spans]
        if metric == RATE:
            whole = sum(end - begin for begin, end, _ in spans)
            weighed = sum((end - begin) * value for begin, end, value in spans)
            found[metric] = weighed / whole if whole else median(values)
        else:
            found[metric] = max(values) if metric == HIGHEST else median(values)
    return found
