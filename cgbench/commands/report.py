"""Write one page from many runs and truth tables, of one or many hosts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cgbench.judging.run import load
from cgbench.records import truth
from cgbench.records.results import find_run, find_truth
from cgbench.reporting.render import write


def report(names: Sequence[str], output: Path | None, results: Path) -> Path:
    """Write the page of what `names` name, beside the first of them if `output` is not given."""
    found = [(name, find_truth(name, results)) for name in names]
    tables = [path for _name, path in found if path is not None]
    runs = [load(find_run(name, results)) for name, path in found if path is None]
    beside = tables[0].parent if tables else runs[0].directory.path
    return write(runs, output or beside / "report.html", [truth.read(path) for path in tables])
