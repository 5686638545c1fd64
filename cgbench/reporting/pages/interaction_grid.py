"""The interaction matrix as a grid: rows are set first, columns second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cgbench.records.idle_findings import Difference, Effect, Felt, Interaction, Meeting
from cgbench.reporting.words.truth_cells import value
from cgbench.spec.options import OPTIONS

MARKS = {
    Meeting.DISTURBED: "✗",
    Meeting.REFUSED: "!",
    Meeting.A_FAILED: "a",
    Meeting.B_FAILED: "b",
    Meeting.INDEPENDENT: "·",
}
"""The sign of each outcome, which distinguishes it without colour."""

WORDS = {
    Meeting.DISTURBED: "the second silently changed the first",
    Meeting.REFUSED: "the second is refused because of the first",
    Meeting.A_FAILED: "the first left no trace, so nothing could be disturbed",
    Meeting.B_FAILED: "the second is refused, also without the first",
    Meeting.INDEPENDENT: "the first is in force as before",
}
"""What each outcome means."""

FELT_MARKS = {
    Felt.DISTURBED: "≠",
    Felt.KEPT: "✓",
    Felt.FOLLOWED: "→",
    Felt.INCONCLUSIVE: "?",
    Felt.NOT_SHOWN: "–",
}
"""The sign of what a workload felt, beside that of the outcome."""

FELT_WORDS = {
    Felt.DISTURBED: "the workload no longer shows the first, each time it was measured",
    Felt.KEPT: "the workload shows the first as before",
    Felt.FOLLOWED: "the workload shows what both ask for together",
    Felt.INCONCLUSIVE: "the effect did not show before, or the host was disturbed",
    Felt.NOT_SHOWN: "with the second in force nothing is known that it should show",
}
"""What each means."""


@dataclass(frozen=True)
class Pair:
    """One cell: its sign, the outcome as a class name, and all details as text.

    `felt` is the sign of what a workload felt, empty where none was watched.
    """

    mark: str
    kind: str
    text: str
    felt: str = ""


@dataclass(frozen=True)
class Grid:
    """The cells by row and column of `options`; None where nothing was tried.

    `legend` holds sign, class name, outcome, meaning and number of pairs, `felt_legend` the same of
    effects. `disturbed`, `refused` and `felt` are the pairs that the page also lists in words,
    `failures` the options that failed alone.
    """

    options: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Pair | None, ...]], ...]
    legend: tuple[tuple[str, str, str, str, int], ...]
    felt_legend: tuple[tuple[str, str, str, str, int], ...]
    disturbed: tuple[Interaction, ...]
    refused: tuple[Interaction, ...]
    felt: tuple[Interaction, ...]
    failures: tuple[str, ...]


def grid(interactions: Sequence[Interaction]) -> Grid | None:
    """Lay pairs of options out as a grid; None if there are none."""
    if not interactions:
        return None
    by = {(one.a, one.b): one for one in interactions}
    met = {name for pair in by for name in pair}
    names = tuple(name for name in OPTIONS if name in met)
    return Grid(
        options=names,
        rows=tuple(
            (a, tuple(_pair(by[a, b]) if (a, b) in by else None for b in names)) for a in names
        ),
        legend=tuple(
            (mark, kind(outcome), outcome.value, WORDS[outcome], number)
            for outcome, mark in MARKS.items()
            if (number := sum(one.outcome == outcome for one in interactions))
        ),
        felt_legend=tuple(
            (mark, kind(felt), felt.value, FELT_WORDS[felt], number)
            for felt, mark in FELT_MARKS.items()
            if (
                number := sum(
                    one.effect is not None and one.effect.felt is felt for one in interactions
                )
            )
        ),
        felt=tuple(
            one
            for one in interactions
            if one.effect is not None and one.effect.felt is Felt.DISTURBED
        ),
        disturbed=tuple(one for one in interactions if one.outcome == Meeting.DISTURBED),
        refused=tuple(one for one in interactions if one.outcome == Meeting.REFUSED),
        failures=tuple(_failures(interactions)),
    )


def kind(outcome: Meeting | Felt) -> str:
    """Return the class name of an outcome."""
    return outcome.value.replace(" ", "-")


def change(one: Difference) -> str:
    """Return one difference in words."""
    where = f"{one.where}{' of HostConfig' if one.layer == 'declared' else ''}"
    return f"{where}: {_shown(one.before)} → {_shown(one.after)}"


def _shown(text: str | None) -> str:
    return "nothing" if text is None else text or "empty"


def _pair(one: Interaction) -> Pair:
    lines = [f"--{one.a} {one.a_value}, then --{one.b} {one.b_value}: {one.outcome.value}"]
    if one.message:
        lines.append(f"Docker: {one.message}")
    if one.a_changes:
        lines.append("Changed of the first: " + "; ".join(map(change, one.a_changes)))
    if one.b_changes:
        lines.append("Changed by the second: " + "; ".join(map(change, one.b_changes)))
    if one.undone:
        lines.append(f"In the kernel: {one.undone}")
    if one.effect is not None:
        lines.append(f"Effect {one.effect.felt.value}: {one.effect.reason}{_meanwhile(one.effect)}")
    felt = "" if one.effect is None else FELT_MARKS[one.effect.felt]
    return Pair(MARKS[one.outcome], kind(one.outcome), "\n".join(lines), felt)


def _meanwhile(one: Effect) -> str:
    """Return what the workload showed from the request until it was steady again."""
    if one.during is None:
        return ""
    return f" ({value(one.during, one.unit)} until it was steady)"


def _failures(interactions: Sequence[Interaction]) -> list[str]:
    """Return the options that failed with every other one, each once and with Docker's words."""
    found: dict[str, list[str]] = {}
    for one in interactions:
        if one.outcome == Meeting.A_FAILED:
            found.setdefault(one.a, []).append(one.message)
        elif one.outcome == Meeting.B_FAILED:
            found.setdefault(one.b, []).append(one.message)
    return [
        f"`--{name}` left no trace or was refused by itself in {len(messages)} pairs"
        + (f": {messages[0]}" if messages[0] else "")
        for name, messages in found.items()
    ]
