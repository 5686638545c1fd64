"""The errors of cgbench, with the exit status of each."""

from __future__ import annotations

from cgbench.errors import CgbenchError
from tests.docs.reference.markdown import code, paragraphs, table


def tree() -> str:
    """Return every error with its exit status and what it stands for."""
    return table(
        ("error", "exit status", "when"),
        [(code(one.__name__), str(one.exit_code), paragraphs(one)) for one in every(CgbenchError)],
    )


def every(kind: type[CgbenchError]) -> list[type[CgbenchError]]:
    """Return an error and all below it."""
    below = [found for one in kind.__subclasses__() for found in every(one)]
    return [kind, *(one for one in below if one.__module__.startswith("cgbench"))]
