"""The metrics: what each is, the direction that is worse, its resolution and its band."""

from __future__ import annotations

from cgbench.spec.band import Band
from cgbench.spec.metric import Metric
from cgbench.spec.metrics import METRICS
from tests.docs.reference.markdown import code, table

_WORSE = {"lower": "lower", "higher": "higher", "either": "either way"}
_SHOWS = {"exact": "to be met", "floor": "a floor", "ceiling": "a ceiling", "none": "–"}
_BAND = {
    "pct": "{:g} % of the expected value",
    "ticks_per_worker": "{:g} timer tick per worker in the whole window",
    "pages_per_cpu": "{:g} pages per CPU",
    "pages_per_cpu_above": "{:g} above",
    "requests": "{:g} time what the workload asks for at once, in the whole window",
    "slices": "{:g} slice of 0.1 s in the whole window",
}


def names() -> list[str]:
    """Return the name of every metric."""
    return list(METRICS)


def described() -> str:
    """Return a table of what every metric is."""
    return table(
        ("metric", "on pages", "unit", "what it is"),
        [(code(one.name), one.label, one.unit, one.description) for one in METRICS.values()],
    )


def judged() -> str:
    """Return a table of how every metric is judged."""
    return table(
        ("metric", "worse", "resolution", "an expected value is", "band"),
        [
            (
                code(one.name), _WORSE[one.worse], _resolution(one), _SHOWS[one.shows],
                "–" if one.shows == "none" else band(one.band),
            )
            for one in METRICS.values()
        ],
    )  # fmt: skip


def band(given: Band) -> str:
    """Say in words how wide a band is."""
    sizes = given.model_dump(exclude_defaults=True)
    parts = [_BAND.get(name, name + " {:g}").format(size) for name, size in sizes.items() if size]
    return ", and ".join(parts) or "exactly"


def _resolution(one: Metric) -> str:
    if one.resolution_pages:
        return f"{one.resolution_pages} pages"
    unit = one.unit.removeprefix("1") if one.unit.startswith("1/") else f" {one.unit}"
    return f"{one.resolution:g}{unit}" if one.resolution else "–"
