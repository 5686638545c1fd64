"""Comparisons as Markdown: a table that a pull request shows."""

from __future__ import annotations

import pytest

from cgbench.records.comparison import Comparison
from cgbench.reporting import markdown
from cgbench.reporting.words import comparison
from tests.made import sides


@pytest.fixture(scope="module")
def mixed() -> Comparison:
    return sides.mixed()


def test_markdown_has_a_row_per_finding_the_worst_first(mixed: Comparison) -> None:
    lines = markdown.of_comparisons([mixed]).splitlines()
    assert lines[0] == f"### ✗ {comparison.headline(mixed)}"
    rows = [line for line in lines if line.startswith("|")][2:]
    assert len(rows) == len(mixed.findings)
    assert rows[0].startswith(
        "| ✗ regressed | `--cpu-quota 50000 · worker · cpus_used` | 0.499 → 0.469 CPUs | -"
    )
    assert all(row.count("|") == 7 for row in rows)
    assert rows[-1].startswith("| ✓ unchanged")


def test_markdown_of_a_forbidden_comparison_tells_the_next_move_and_has_no_table() -> None:
    text = markdown.of_comparisons([sides.forbidden()])
    assert text.startswith("### ! cpu-quota-sweep: incomparable")
    assert "--allow hostname" in text
    assert "- kernel differs, as allowed: 6.1.0 → 6.18.0" in text
    assert "|---|" not in text


def test_markdown_leaves_out_what_nobody_would_read() -> None:
    text = markdown.of_comparisons([sides.many(60, trials=5)])
    assert "20 more, none of them worse than the last." in text
    assert text.count("\n| ") == 41, "the head and 40 findings"


def test_a_reason_of_several_lines_stays_in_its_cell(mixed: Comparison) -> None:
    broken = mixed.findings[0].model_copy(update={"reason": "a | b\nc"})
    found = mixed.model_copy(update={"findings": (broken,)})
    rows = [line for line in markdown.of_comparisons([found]).splitlines() if line[:2] == "| "]
    assert rows[-1].endswith("| a \\| b c |")
