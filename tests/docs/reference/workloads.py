"""The workloads, from the files beside their image."""

from __future__ import annotations

from cgbench.spec import workload
from tests.docs.reference import markdown
from tests.docs.reference.markdown import code


def table() -> str:
    """Return a table of every workload."""
    folder = workload.directory()
    return markdown.table(
        ("workload", "what it does", "controller"),
        [
            (code(one.name), one.summary, "–" if one.controller == "none" else one.controller)
            for one in (workload.load(name, folder) for name in workload.names(folder))
        ],
    )
