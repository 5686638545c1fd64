"""Tables in Markdown, and what docstrings say."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a bar in a cell is escaped, as every forge and MkDocs want it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |"
        for line in lines
    )


def code(value: object) -> str:
    """Return a value as code, nothing for an empty one."""
    text = str(value)
    return f"`{text}`" if text else ""


def codes(values: Iterable[object]) -> str:
    """Return values as code, with commas between."""
    return ", ".join(code(value) for value in values)


def paragraphs(thing: object) -> str:
    """Return a docstring, each paragraph as one line."""
    text = inspect.cleandoc(getattr(thing, "__doc__", None) or "")
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
