"""The generated parts of the manual: between two comments in a page, made from the code.

A page holds `<!-- generated: NAME -->` and `<!-- end of NAME -->`, which no reader sees; what
stands between them is the text that GENERATORS makes. The rest of a page is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.docs import rooms
from tests.docs.reference import (
    atlas,
    commands,
    documents,
    exceptions,
    experiment_files,
    experiments,
    job,
    metrics,
    options,
    tables,
    verdicts,
    versions,
    workloads,
)

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RENEW = "renew it: make docs, or .venv/bin/python -m tests.docs"

GENERATORS: Mapping[str, Callable[[], str]] = {
    "atlas-hosts": atlas.hosts,
    "atlas-neighbours": atlas.neighbours,
    "commands": commands.details,
    "commands-in-short": commands.in_short,
    "documents": documents.all_documents,
    "exceptions": exceptions.tree,
    "experiment-files": experiment_files.keys,
    "experiments": experiments.table,
    "job": job.inputs,
    "metrics": metrics.described,
    "metrics-judged": metrics.judged,
    "options": options.details,
    "options-in-short": options.in_short,
    "run-options-in-short": options.others,
    "preconditions": experiments.preconditions,
    "rooms": rooms.table_of_rooms,
    "tables": tables.columns,
    "verdicts": verdicts.verdicts,
    "verdicts-in-short": verdicts.listed,
    "bands": verdicts.bands,
    "judgements": verdicts.judgements,
    "versions": versions.versions_table,
    "workloads": workloads.table,
}
"""What makes each generated part, by its name in the pages."""

_BLOCK = re.compile(
    r"^<!-- generated: (?P<name>[a-z-]+) -->\n(?P<text>.*?)^<!-- end of (?P=name) -->$",
    re.DOTALL | re.MULTILINE,
)


def pages() -> list[Path]:
    """Return every page: the README and the manual."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def names(page: str) -> Iterator[str]:
    """Yield the names of a page's generated parts."""
    for block in _BLOCK.finditer(page):
        yield block["name"]


def renewed(page: str) -> str:
    """Return a page with its generated parts made anew. Raises KeyError on an unknown name."""

    def block(found: re.Match[str]) -> str:
        name = found["name"]
        text = GENERATORS[name]().strip("\n")
        return f"<!-- generated: {name} -->\n\n{text}\n\n<!-- end of {name} -->"

    return _BLOCK.sub(block, page)


def write() -> list[Path]:
    """Renew all pages, and return those that changed."""
    changed = []
    for path in pages():
        before = path.read_text()
        after = renewed(before)
        if after != before:
            path.write_text(after)
            changed.append(path)
    return changed
