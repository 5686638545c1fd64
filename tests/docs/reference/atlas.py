"""What the rows of the atlas show, computed from them as its page does it."""

from __future__ import annotations

from pathlib import Path

from cgbench.commands.atlas import Atlas, gathered
from cgbench.judging.atlas import Neighbours
from cgbench.records.host_key import PARTS
from cgbench.reporting.words import atlas as words
from tests.docs.reference.markdown import code, table

ROWS = Path(__file__).parents[3] / "results" / "atlas"


def hosts(directory: Path = ROWS) -> str:
    """Return a table of the rows: the key of each host, and when it was measured."""
    found = _read(directory)
    if not found.rows:
        return "No host is measured yet."
    return table(
        ("row", *(part.words for part in PARTS), "measured"),
        [
            (code(row.name), *(row.key.words(part.name) for part in PARTS), str(row.measured))
            for row in found.rows
        ],
    )


def neighbours(directory: Path = ROWS) -> str:
    """Return what changes between each two rows whose hosts differ in one thing."""
    found = _read(directory).neighbours
    return "\n\n".join(map(_pair, found)) or "No two hosts differ in one thing alone yet."


def _pair(one: Neighbours) -> str:
    head = f"**{words.changed(one)}** ({code(one.before.name)} → {code(one.after.name)})"
    said = f"{head}: {words.outcome(one)}"
    if not one.differences:
        return said
    rows = [
        (code(f"--{each.option}"), each.before.verdict.value, each.after.verdict.value)
        for each in one.differences
    ]
    return f"{said}\n\n{table(('option', one.before.name, one.after.name), rows)}"


def _read(directory: Path) -> Atlas:
    """Read the rows. A bad one would leave a gap in the manual that nobody sees."""
    found = gathered(directory)
    assert not found.left_out, found.left_out
    return found
