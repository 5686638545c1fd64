"""Comparisons and audits as Markdown, for a pull request or a summary: no text is markup."""

from __future__ import annotations

from collections.abc import Sequence

from cgbench.foreign import markdown, markdown_code
from cgbench.records.audit import Audit
from cgbench.records.baseline import Baseline
from cgbench.records.comparison import SIGNS, Comparison, Finding
from cgbench.reporting.words import audit as audit_words
from cgbench.reporting.words import baseline, elsewhere
from cgbench.reporting.words.comparison import (
    advice,
    change,
    headline,
    levels,
    ordered,
    remarks,
    where,
)
from cgbench.wording import capitalised, quantity

_ROWS = 40


def of_comparisons(many: Sequence[Comparison]) -> str:
    """Return the comparisons as Markdown, the worst findings first."""
    return "\n".join(line for found in many for line in _lines(found))


def of_audit(audit: Audit) -> str:
    """Return an audit as Markdown: its findings, what was expected and missed, and not read."""
    found = audit.findings
    lines = [f"### {audit_words.summary(audit)}", ""]
    if found:
        lines += ["| container | limit | finding | why |", "|---|---|---|---|"]
        lines += [
            f"| {markdown_code(container.name)} | {limit.limit} | {limit.finding.value} | "
            f"{markdown(limit.reason)} |"
            for container, limit in found[:_ROWS]
        ]
    if len(found) > _ROWS:
        lines.append(f"\n{len(found) - _ROWS} more.")
    lines += [f"- {markdown_code(one.container)}: {markdown(one.reason)}" for one in audit.missed]
    lines += [
        f"- {markdown_code(one.name)} was not read: {markdown(one.unread)}"
        for one in audit.containers
        if one.unread is not None
    ]
    if audit.elsewhere is not None:
        lines += ["", f"{markdown(capitalised(elsewhere.headline(audit.elsewhere)))}.", ""]
        lines += [f"- {markdown(line)}" for line in elsewhere.not_so(audit.elsewhere)]
    return "\n".join([*lines, ""])


def of_baseline(kept: Baseline) -> str:
    """Return a baseline as Markdown: what each series holds, and that nothing was compared."""
    many = list(baseline.levels(kept))
    rows = [
        f"| {markdown_code(one.where)} | "
        f"{'–' if one.median is None else quantity(one.median, one.unit)} | "
        f"{'–' if one.spread_pct is None else f'{one.spread_pct:.1f} %'} |"
        for one in many[:_ROWS]
    ]
    lines = [
        f"### {markdown(baseline.title(kept))}", "", f"{capitalised(baseline.NO_VERDICT)}.", "",
        "| option, container, metric | median | spread |", "|---|---|---|", *rows,
    ]  # fmt: skip
    if len(many) > _ROWS:
        lines.append(f"\n{len(many) - _ROWS} more.")
    return "\n".join([*lines, ""])


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
