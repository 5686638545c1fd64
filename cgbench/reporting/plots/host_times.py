"""The plot of times to effect on several hosts: one row per change or option, a lane per host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from statistics import median

from cgbench.reporting.plots.plot import GROUPS, MUTED, Key, Mark, Plot, Trace, decades, dots
from cgbench.reporting.plots.plotly_text import in_template
from cgbench.wording import milliseconds

STAGES: tuple[tuple[str, Mark], ...] = (
    ("Docker answered", "circle"),
    ("file shows it", "diamond"),
    ("workload settled", "square"),
)
"""Words and mark of each layer, in the order in which they come."""

# The lanes of a row take this share of it.
_SPREAD = 0.56

Times = Mapping[str, Sequence[float]]
"""For each stage that was seen, by its words, its times in ms since the request."""


@dataclass(frozen=True)
class Lane:
    """One host: its legend's entry, and its times by the row's label."""

    host: str
    rows: Mapping[str, Times]


def host_times(lanes: Sequence[Lane], name: str) -> Plot | None:
    """Plot the medians of each stage, hosts side by side; None where nothing was seen."""
    labels = list(dict.fromkeys(label for lane in lanes for label in lane.rows))
    shown = [label for label in labels if any(_medians(lane, label) for lane in lanes)]
    every = [value for lane in lanes for label in shown for value in _medians(lane, label).values()]
    if not every:
        return None
    rows = {label: len(shown) - 1 - place for place, label in enumerate(shown)}
    data: list[Trace] = []
    keys = []
    for number, (lane, (colour, _)) in enumerate(zip(lanes, cycle(GROUPS), strict=False)):
        offset = _SPREAD * (0.5 - (number + 0.5) / len(lanes))
        places = {label: row + offset for label, row in rows.items()}
        data += [_reach(lane, places, colour), *_marks(lane, places, colour)]
        keys.append(Key(lane.host, colour, "line"))
    return Plot(
        name=name,
        title=_title(lanes),
        reading="Medians since the request, on a logarithmic axis: a lane for each host. A mark "
        "that is missing was not seen; a workload that settled after 0 ms never left its band, and "
        "where it settled before the file shows the value, noise on that host hides the change.",
        summary="; ".join(_in_words(lane, shown) for lane in lanes),
        keys=(*keys, *(Key(words, MUTED, mark) for words, mark in STAGES)),
        data=data,
        layout={
            "xaxis": {"title": {"text": "ms since the request"},
                      **decades(0.8 * min(every), 1.1 * max(every))},
            "yaxis": {"tickvals": list(rows.values()), "ticktext": list(rows), "zeroline": False,
                      "range": [-0.6, len(shown) - 0.4]},
        },
        height=110 + (16 * len(lanes) + 8) * len(shown),
        wide=True,
    )  # fmt: skip


def _medians(lane: Lane, label: str) -> dict[str, float]:
    """Return the medians that a logarithmic axis can show: 0 means that nothing moved."""
    times = lane.rows.get(label, {})
    return {words: found for words, values in times.items() if values and (found := median(values))}


def _title(lanes: Sequence[Lane]) -> str:
    settled = [
        (lane.host.partition(",")[0],
         [value for times in lane.rows.values() for value in times.get(STAGES[-1][0], ())])
        for lane in lanes
    ]  # fmt: skip
    by_host = [f"{milliseconds(median(values))} on {host}" for host, values in settled if values]
    if not by_host:
        return "Docker's answer and the interface file; no workload was seen to settle"
    return f"The workload follows after {', '.join(by_host)}"


def _in_words(lane: Lane, shown: Sequence[str]) -> str:
    rows = (
        f"{label} " + ", ".join(f"{words} {milliseconds(value)}" for words, value in found.items())
        for label in shown
        if (found := _medians(lane, label))
    )
    return f"{lane.host}: {'; '.join(rows)}"


def _marks(lane: Lane, places: Mapping[str, float], colour: str) -> list[Trace]:
    traces = []
    host = in_template(lane.host)
    for words, mark in STAGES:
        known = [(label, found[words]) for label in places
                 if words in (found := _medians(lane, label))]  # fmt: skip
        traces.append(
            dots([value for _, value in known], [places[label] for label, _ in known], colour, mark,
                 size=8, cliponaxis=False,
                 customdata=[f"{label}: {milliseconds(value)}" for label, value in known],
                 hovertemplate=f"{words}<br>%{{customdata}}<extra>{host}</extra>")
        )  # fmt: skip
    return traces


def _reach(lane: Lane, places: Mapping[str, float], colour: str) -> Trace:
    """Return a thin line from each row's first stage to its last."""
    x: list[float | None] = []
    y: list[float | None] = []
    for label, place in places.items():
        if values := list(_medians(lane, label).values()):
            x += [min(values), max(values), None]
            y += [place, place, None]
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "hoverinfo": "skip",
            "line": {"color": colour, "width": 1}}  # fmt: skip
