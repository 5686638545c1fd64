"""The plot of a truth table: each option's time to effect at each layer."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from cgbench.records.verdict import TimeToEffect
from cgbench.reporting.plots.plot import (
    FIRST,
    MUTED,
    SECOND,
    THIRD,
    Key,
    Mark,
    Plot,
    Trace,
    decades,
    dots,
)
from cgbench.wording import milliseconds

STAGES: tuple[tuple[str, str, str, Mark], ...] = (
    ("answer", "Docker answered", FIRST, "circle"),
    ("enforced", "file shows it", THIRD, "diamond"),
    ("experienced", "workload settled", SECOND, "square"),
)
"""Field of TimeToEffect, words, colour and mark of each layer."""

Times = Sequence[tuple[str, TimeToEffect]]
"""Label and times of each option, from top to bottom."""


def time_to_effect(times: Times, name: str) -> Plot | None:
    """Plot when Docker answered, the file showed it and the workload settled, per option."""
    known = [(label, one) for label, one in times if any(_values(one))]
    if not known:
        return None
    every = [value for _, one in known for value in _values(one)]
    data = [_reach(known), *(_marks(known, stage) for stage in STAGES)]
    return Plot(
        name=name,
        title=_title(known),
        reading="Medians over the changes of each option, on a logarithmic axis; zero is the "
        "request. Without a diamond no reading showed the new value, without a square the workload "
        "never left its band or could not show the change.",
        summary="; ".join(
            f"{label}: " + ", ".join(
                f"{words} {milliseconds(value)}" for field, words, _, _ in STAGES
                if (value := getattr(one, field)) is not None
            )
            for label, one in known
        ),
        keys=tuple(Key(words, colour, mark) for _, words, colour, mark in STAGES),
        data=data,
        layout={
            "xaxis": {"title": {"text": "ms since the request"},
                      **decades(0.8 * min(every), 1.1 * max(every))},
            "yaxis": {"type": "category", "categoryorder": "array",
                      "categoryarray": [label for label, _ in reversed(known)]},
        },
        height=110 + 27 * len(known),
        wide=True,
    )  # fmt: skip


def _title(known: Times) -> str:
    settled = [one.experienced for _, one in known if one.experienced]
    if not settled:
        return "Docker's answer and the interface file; no workload was seen to settle"
    return (
        f"The workload follows {milliseconds(median(settled))} after the request, "
        f"{milliseconds(max(settled))} at the slowest"
    )


def _values(one: TimeToEffect) -> list[float]:
    """Return the times that a logarithmic axis can show: 0 means that nothing moved."""
    return [value for value in (one.answer, one.enforced, one.experienced) if value]


def _marks(known: Times, stage: tuple[str, str, str, Mark]) -> Trace:
    field, words, colour, mark = stage
    found = [(label, getattr(one, field)) for label, one in known]
    shown = [(label, value) for label, value in found if value]
    return dots(
        [value for _, value in shown], [label for label, _ in shown], colour, mark,
        cliponaxis=False, customdata=[milliseconds(value) for _, value in shown],
        hovertemplate=f"{words}: %{{customdata}}<extra>%{{y}}</extra>",
    )  # fmt: skip


def _reach(known: Times) -> Trace:
    """Return a thin line from each option's first layer to its last."""
    x: list[float | None] = []
    y: list[str | None] = []
    for label, one in known:
        values = _values(one)
        x += [min(values), max(values), None]
        y += [label, label, None]
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "hoverinfo": "skip",
            "line": {"color": MUTED, "width": 1}}  # fmt: skip
