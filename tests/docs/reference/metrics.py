"""The metrics: unit, the direction that is worse, and how finely each can be known."""

from __future__ import annotations

from cgbench.spec.metrics import GAUGES, UNITS
from cgbench.units import format_size
from tests.docs.reference import markdown
from tests.docs.reference.markdown import code

_WORSE = {"lower": "lower", "higher": "higher", "either": "either way"}


def names() -> list[str]:
    """Return the name of every metric."""
    return list(UNITS)


def table() -> str:
    """Return a table of every metric."""
    return markdown.table(
        ("metric", "unit", "worse", "resolution"),
        [
            (code(name), unit, _WORSE[GAUGES[name].worse], _resolution(name, unit))
            for name, unit in UNITS.items()
        ],
    )


def _resolution(name: str, unit: str) -> str:
    size = GAUGES[name].resolution
    if not size:
        return "–"
    return format_size(size) if unit == "bytes" else f"{size:g} {unit}"
