"""The model of a report's plots: what to see, how to read it, and Plotly's data and layout.

Colours are names of roles (`@used`), which the page turns into colours that fit its theme.
Nothing here needs Plotly: the page draws.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cgbench.reporting.plots.curve import Curve, thinned

Trace = dict[str, Any]
Mark = Literal[
    "line", "dash", "dot", "dashdot", "circle", "ring", "diamond", "square", "triangle-up", "band"
]

DECLARED, USED, SHOWN, INK, MUTED = "@declared", "@used", "@shown", "@ink", "@muted"
USED_SOFT, HELD = "@used-soft", "@held"
FIRST, SECOND, THIRD, FOURTH = "@first", "@second", "@third", "@fourth"

GROUPS: tuple[tuple[str, Mark], ...] = (
    (USED, "circle"), (THIRD, "diamond"), (SECOND, "square"), (FOURTH, "triangle-up"),
)  # fmt: skip
"""Colour and symbol of the first, second, ... group of one plot."""


@dataclass(frozen=True)
class Key:
    """An entry of a plot's legend, which stands beside the plot and never covers it."""

    label: str
    colour: str
    mark: Mark


@dataclass(frozen=True)
class Plot:
    """One plot: `title` says what to see, `reading` how to read it, `summary` replaces it in words.

    `height` is in CSS pixels; a `wide` plot takes the whole width of the page.
    """

    name: str
    title: str
    reading: str
    summary: str
    keys: tuple[Key, ...]
    data: list[Trace]
    layout: dict[str, Any]
    height: int = 320
    wide: bool = False


@dataclass(frozen=True)
class Axis:
    """An axis in Plotly's words."""

    title: str
    settings: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the axis as Plotly's layout takes it."""
        return {"title": {"text": self.title}} | self.settings


def rounded(values: Iterable[float | None] | npt.NDArray[np.float64]) -> list[float | None]:
    """Return values with five significant digits, NaN as None: enough for eyes, short in a file."""
    return [
        None if value is None or not np.isfinite(value) else float(f"{value:.5g}")
        for value in values
    ]


def line(
    x: Sequence[Any] | npt.NDArray[np.float64],
    y: Sequence[Any] | npt.NDArray[np.float64],
    colour: str,
    **more: Any,
) -> Trace:
    """Return a line; evenly spaced x are stored as start and step."""
    style = {"color": colour, "width": more.pop("width", 2)}
    if "dash" in more:
        style["dash"] = more.pop("dash")
    if "shape" in more:
        style["shape"] = more.pop("shape")
    return {
        "type": "scatter", "mode": "lines", "line": style, "y": rounded(y), **_positions(x), **more,
    }  # fmt: skip


def dots(
    x: Sequence[Any] | npt.NDArray[np.float64],
    y: Sequence[Any] | npt.NDArray[np.float64],
    colour: str,
    mark: Mark = "circle",
    **more: Any,
) -> Trace:
    """Return markers; a `ring` is an open circle that lets others be seen through it."""
    size = more.pop("size", 9)
    open_ring = mark == "ring"
    marker = {
        "symbol": "circle-open" if open_ring else mark, "size": 5 if open_ring else size,
        "color": colour, "line": {"width": 1 if open_ring else 0, "color": colour},
    }  # fmt: skip
    return {
        "type": "scatter", "mode": "markers", "marker": marker, "y": _values(y), "x": _values(x),
        **more,
    }  # fmt: skip


def bars(
    lows: Sequence[float | None], values: Sequence[float], highs: Sequence[float | None]
) -> dict[str, Any]:
    """Return error bars from interval ends; none where an end is None."""
    return {
        "type": "data", "symmetric": False, "thickness": 1.5, "width": 5,
        "array": rounded(0 if high is None else high - value
                         for value, high in zip(values, highs, strict=True)),
        "arrayminus": rounded(0 if low is None else value - low
                              for value, low in zip(values, lows, strict=True)),
    }  # fmt: skip


def decades(low: float, high: float) -> dict[str, Any]:
    """Return the ticks of a logarithmic axis at 1, 2 and 5 of each decade, and its range."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks = [
        mantissa * 10.0**exponent for exponent in range(first, last + 1) for mantissa in (1, 2, 5)
    ]
    shown = [tick for tick in ticks if 0.99 * low <= tick <= 1.2 * high]
    return {
        "type": "log", "tickvals": rounded(shown), "ticktext": [f"{tick:g}" for tick in shown],
        "range": [round(math.log10(low), 3), round(math.log10(1.15 * high), 3)],
    }  # fmt: skip


def rescaled(trace: Trace, factor: float) -> Trace:
    """Return a trace with y in a unit `factor` times as large."""

    def scaled(values: Sequence[float | None]) -> list[float | None]:
        return rounded(None if value is None else value / factor for value in values)

    bars_of = trace.get("error_y")
    ends = {name: scaled(bars_of[name]) for name in ("array", "arrayminus")} if bars_of else {}
    return trace | {"y": scaled(trace["y"])} | ({"error_y": bars_of | ends} if bars_of else {})


def fewer(trace: Trace, points: int) -> Trace:
    """Return a line with `points` points at most, the extremes among them; others as they are."""
    count = len(trace["y"])
    if trace["mode"] != "lines" or count <= points or None in trace["y"]:
        return trace
    x = trace["x"] if "x" in trace else trace["x0"] + trace["dx"] * np.arange(count)
    kept = thinned(Curve(np.asarray(x, dtype=float), np.asarray(trace["y"], dtype=float)), points)
    rest = {key: value for key, value in trace.items() if key not in ("x", "x0", "dx", "y")}
    return rest | {"x": rounded(kept.x), "y": rounded(kept.y)}


def horizontal(y0: float, y1: float, colour: str) -> dict[str, Any]:
    """Return a band across the whole plot."""
    return {
        "type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": y0, "y1": y1, "layer": "below",
        "fillcolor": colour, "line": {"width": 0},
    }  # fmt: skip


def vertical(x: float, colour: str, dash: str = "dot", yref: str = "paper") -> dict[str, Any]:
    """Return a line from bottom to top."""
    return {
        "type": "line", "x0": x, "x1": x, "yref": yref, "y0": 0, "y1": 1, "layer": "below",
        "line": {"width": 1, "dash": dash, "color": colour},
    }  # fmt: skip


def _values(values: Sequence[Any] | npt.NDArray[np.float64]) -> list[Any]:
    return list(values) if any(isinstance(one, str) for one in values) else rounded(values)


def _positions(x: Sequence[Any] | npt.NDArray[np.float64]) -> dict[str, Any]:
    if len(x) < 16 or isinstance(x[0], str):
        return {"x": _values(x)}
    steps = np.diff(np.asarray(x, dtype=float))
    if np.allclose(steps, steps[0], rtol=1e-3, atol=0):
        return {"x0": float(f"{x[0]:.6g}"), "dx": float(f"{steps.mean():.6g}")}
    return {"x": rounded(x)}
