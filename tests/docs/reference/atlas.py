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
    parts = [f"{head}: {words.outcome(one)}"]
    names = one.before.name, one.after.name
    if one.differences:
        verdicts = [
            (code(f"--{each.option}"), each.before.verdict.value, each.after.verdict.value)
            for each in one.differences
        ]
        parts.append(table(("option", *names), verdicts))
    if one.texts:
        texts = [
            (code(f"--{each.option} {each.value}"), code(each.file), _text(each.before),
             _text(each.after))
            for each in one.texts
        ]  # fmt: skip
        parts.append(table(("update", "file", *names), texts))
    return "\n\n".join(parts)


def _text(held: str | None) -> str:
    return "absent" if held is None else code(held)


def _read(directory: Path) -> Atlas:
    """Read the rows. A bad one would leave a gap in the manual that nobody sees."""
    found = gathered(directory)
    assert not found.left_out, found.left_out
    return found
