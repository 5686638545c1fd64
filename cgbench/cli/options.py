"""The options that several commands share, and how their values are read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cgbench.errors import UnitError
from cgbench.units import NS_PER_S, parse_duration

RESULTS = Path("results")
EFFECT_PCT = 2.0
BUDGET = "5m"


def _known_metrics(names: list[str] | None) -> list[str] | None:
    """Refuse a name that is no metric before anything is read or measured."""
    if names:
        from cgbench.judging import sides

        sides.check_metrics(names)
    return names


def _known_keys(names: list[str] | None) -> list[str] | None:
    """Refuse a name that is no key before anything is read or measured."""
    if names:
        from cgbench.records import agreement

        agreement.require_known(names)
    return names


class Rows(StrEnum):
    """Which rows of a table are printed."""

    FAILING = "failing"


Results = Annotated[
    Path, typer.Option("--results", metavar="DIR", help="Directory of runs and baselines.")
]
NoReport = Annotated[
    bool, typer.Option("--no-report", help="Write no page; `cgbench report` writes it later.")
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="NAME",
        callback=_known_metrics,
        help="Metric to compare by; repeatable.",
    ),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="KEY",
        callback=_known_keys,
        help="Key that may differ, as docker or kernel; repeatable. An unknown one lists all.",
    ),
]
Effect = Annotated[
    float, typer.Option("--effect", min=0.1, max=100, help="Smallest change that matters, in %.")
]
Budget = Annotated[
    str, typer.Option("--budget", metavar="TIME", help="Longest time to measure, as 5m or 90s.")
]
Junit = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Also write JUnit XML; - prints it.")
]
Markdown = Annotated[
    Path | None,
    typer.Option("--markdown", metavar="FILE", help="Also write Markdown; - prints it."),
]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Also write JSON; - prints it, and no text."),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Show no progress, and no result unless one is bad."),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="File of the page.")
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="KEY[=VALUE]", help="Only containers with it; repeatable."),
]
Project = Annotated[
    str | None, typer.Option("--project", metavar="NAME", help="Only those of compose's NAME.")
]
Quick = Annotated[bool, typer.Option("--quick", help="Use shorter holds.")]
Wait = Annotated[
    str,
    typer.Option(
        "--wait", metavar="TIME", envvar="CGBENCH_WAIT",
        help="Wait so long for another cgbench that measures here, as 10m.",
    ),
]  # fmt: skip
NO_WAIT = "0s"


def seconds(text: str) -> float:
    """Return a duration in seconds. Raises UnitError that names it when it is not a duration."""
    return parse_duration(text) / NS_PER_S


def time_given(text: str, option: str) -> float:
    """Return a duration in seconds. Raises UnitError when it is none, or no time at all."""
    found = seconds(text)
    if found <= 0:
        raise UnitError(f"{option} {text}: no time to measure in", f"For example: {option} 5m")
    return found


def share(percent: float) -> float:
    """Return a percentage as the share that judging calculates with."""
    return percent / 100
