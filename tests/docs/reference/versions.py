"""The versions of stored documents, from their registry."""

from __future__ import annotations

import ast
import inspect
import re
from itertools import pairwise

from cgbench.records import versions
from tests.docs.reference.markdown import table


def versions_table() -> str:
    """Return a table of every kind of document: the version written, and the oldest read."""
    docstrings = _docstrings()
    return table(
        ("document", "version written", "oldest read", "what changed"),
        [
            (name.lower(), str(one.written), str(one.oldest), docstrings[name])
            for name, one in vars(versions).items()
            if isinstance(one, versions.Versions)
        ],
    )


def _docstrings() -> dict[str, str]:
    """Return the text below each constant of the registry."""
    body = ast.parse(inspect.getsource(versions)).body
    found = {}
    for line, below in pairwise(body):
        match line, below:
            case (
                ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                words = " ".join(text.split())
                found[name] = re.sub(r"see [A-Z]+", lambda one: one[0].lower(), words)
    return found
