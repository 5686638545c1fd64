"""Comparisons as Markdown, for a pull request or a job's summary: no text in them is markup."""

from __future__ import annotations

from collections.abc import Sequence

from cgbench.foreign import markdown, markdown_code
from cgbench.records.comparison import SIGNS, Comparison, Finding
from cgbench.reporting.words.comparison import (
    advice,
    change,
    headline,
    levels,
    ordered,
    remarks,
    where,
)

_ROWS = 40


def of_comparisons(many: Sequence[Comparison]) -> str:
    """Return the comparisons as Markdown, the worst findings first."""
    return "\n".join(line for found in many for line in _lines(found))


def _lines(found: Comparison) -> list[str]:
    lines = [f"### {SIGNS[found.overall]} {markdown(headline(found))}", ""]
    if (next_move := advice(found)) is not None:
        lines += [markdown(next_move), ""]
    rows = ordered(found)
    if rows:
        lines += [
            "| | option, container, metric | means | change | matters from | why |",
            "|---|---|---|---|---|---|",
            *map(_row, rows[:_ROWS]),
        ]
    if len(rows) > _ROWS:
        lines.append(f"\n{len(rows) - _ROWS} more, none of them worse than the last.")
    return [*lines, *(f"- {markdown(note)}" for note in remarks(found)), ""]


def _row(one: Finding) -> str:
    cells = (
        f"{SIGNS[one.judgement]} {one.judgement.value}", markdown_code(where(one)), levels(one),
        change(one),
        f"{one.effect_pct:.3g} %", markdown(one.reason),
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"
