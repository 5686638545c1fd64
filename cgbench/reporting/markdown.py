"""Comparisons as Markdown, for a pull request or a job's summary."""

from __future__ import annotations

from collections.abc import Sequence

from cgbench.records.comparison import SIGNS, Comparison, Finding
from cgbench.reporting.words.comparison import advice, change, headline, ordered, remarks, where

_ROWS = 40


def of_comparisons(many: Sequence[Comparison]) -> str:
    """Return the comparisons as Markdown, the worst findings first."""
    return "\n".join(line for found in many for line in _lines(found))


def _lines(found: Comparison) -> list[str]:
    lines = [f"### {SIGNS[found.overall]} {headline(found)}", ""]
    if (next_move := advice(found)) is not None:
        lines += [next_move, ""]
    rows = ordered(found)
    if rows:
        lines += [
            "| | option, container, metric | change | matters from | why |",
            "|---|---|---|---|---|",
            *map(_row, rows[:_ROWS]),
        ]
    if len(rows) > _ROWS:
        lines.append(f"\n{len(rows) - _ROWS} more, none of them worse than the last.")
    return [*lines, *(f"- {note}" for note in remarks(found)), ""]


def _row(one: Finding) -> str:
    cells = (
        f"{SIGNS[one.judgement]} {one.judgement.value}", f"`{where(one)}`", change(one),
        f"{one.effect_pct:.3g} %", one.reason,
    )  # fmt: skip
    # A pipe or a line's end would begin another cell or row.
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
