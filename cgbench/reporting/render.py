"""One self-contained HTML page, written whole: the first form that is small enough."""

from __future__ import annotations

import base64
import functools
import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from cgbench import __version__
from cgbench.errors import StoreError
from cgbench.judging.fleet import Standing
from cgbench.judging.fleet_points import FleetPoint
from cgbench.judging.run import Run
from cgbench.judging.trend import History
from cgbench.records.atlas import AtlasRow
from cgbench.records.audit import Audit
from cgbench.records.comparison import Comparison
from cgbench.records.fleet import FleetRecord
from cgbench.records.truth import TruthTable
from cgbench.records.tune import Tuned
from cgbench.records.writing import whole
from cgbench.reporting.markup import environment
from cgbench.reporting.pages.atlas import atlas_page
from cgbench.reporting.pages.audit import audit_page
from cgbench.reporting.pages.comparison import comparison_page
from cgbench.reporting.pages.fleet import fleet_page
from cgbench.reporting.pages.history import history_page
from cgbench.reporting.pages.report import report_page
from cgbench.reporting.pages.tune import TunePage
from cgbench.reporting.plots import plotly_text
from cgbench.reporting.plots.fleet_curve import fleet_curves
from cgbench.reporting.plots.plot import Plot, fewer

MAXIMUM_BYTES = 6_000_000
"""No page is larger."""

# As many points as a wide screen has columns.
_MOST_POINTS = 1500
# Points of a line, and whether the library is packed: the first that fits is taken.
_ATTEMPTS = ((_MOST_POINTS, False), (500, False), (500, True), (80, True))


class Page(Protocol):
    """What the base template needs from a page; `source` is what it was made from."""

    @property
    def title(self) -> str:
        """What the browser's tab says."""

    @property
    def subject(self) -> str:
        """What the page is of, as an error names it."""

    @property
    def source(self) -> str:
        """What it was made from."""

    def plots(self) -> dict[str, Plot]:
        """Return every plot by the identity of its element on the page."""

    def documents(self) -> Mapping[str, object]:
        """Return what scripts may read, as plain data by name."""


def write(runs: Sequence[Run], output: Path, tables: Sequence[TruthTable] = ()) -> Path:
    """Write the report of runs and truth tables to `output`, whole or not at all; return its path.

    Truth tables come first. An experiment that several hosts have run is laid side by side.
    Raises StoreError when it cannot be written, or when so many runs do not fit on one page.
    """
    page = report_page(runs, tables, _MOST_POINTS)
    return _written(page, "report", output, "Report fewer runs at once.")


def write_truth(tables: Sequence[TruthTable], output: Path) -> Path:
    """Write the page of one or many hosts' truth tables to `output`; return its path.

    Raises StoreError when it cannot be written.
    """
    return write((), output, tables)


def write_comparisons(many: Sequence[Comparison], output: Path) -> Path:
    """Write the page of one or many comparisons to `output`; return its path.

    Raises StoreError when it cannot be written, or when so many do not fit on one page.
    """
    return _written(comparison_page(many), "comparison", output, "Compare fewer at once.")


def write_history(history: History, output: Path) -> Path:
    """Write the page of a metric's history to `output`; return its path.

    Raises StoreError when it cannot be written, or when so many series do not fit on one page.
    """
    narrower = "Narrow it: --experiment NAME, --role ROLE or --requested VALUE."
    return _written(history_page(history), "history", output, narrower)


def write_audit(audit: Audit, output: Path) -> Path:
    """Write the page of an audit; return its path.

    Raises StoreError when it cannot be written, or when so many containers do not fit on one page.
    """
    page = audit_page(audit)
    return _written(page, "audit", output, "Audit fewer at once: name them, or give --project.")


def write_atlas(
    rows: Sequence[AtlasRow],
    beside: Sequence[TruthTable],
    output: Path,
    *,
    left_out: Sequence[tuple[str, str]] = (),
    other_rules: Sequence[str] = (),
) -> Path:
    """Write the page of an atlas, with truth tables of the reader's hosts; return its path.

    `left_out` are files with what is wrong with them, `other_rules` rows that were judged by other
    rules. Raises StoreError when it cannot be written, or when so many rows do not fit on one page.
    """
    page = atlas_page(rows, beside, left_out=left_out, other_rules=other_rules)
    return _written(page, "atlas", output, "Show fewer rows: name a directory with --rows.")


def write_fleet(
    record: FleetRecord,
    standing: Standing,
    output: Path,
    *,
    tables: Mapping[str, TruthTable],
    audits: Mapping[str, Audit],
    points: Sequence[FleetPoint],
    gates: Mapping[str, Sequence[Comparison]],
) -> Path:
    """Write the page of a fleet; return its path. Raises StoreError when it cannot be written."""
    page = fleet_page(record, standing, tables, audits, fleet_curves(points), gates)
    return _written(page, "fleet", output, "Report fewer hosts: choose them with --tag.")


def write_tune(found: Tuned, output: Path) -> Path:
    """Write the page of a search for a limit; return its path. Raises StoreError."""
    return _written(TunePage(found), "tune", output, "Search with a smaller budget.")


def _written(page: Page, template: str, output: Path, advice: str) -> Path:
    """Write a page in the first form that fits."""
    size = 0
    for points, packed in _ATTEMPTS:
        content = _html(page, template, points, packed).encode()
        size = len(content)
        if size <= MAXIMUM_BYTES:
            with whole(output, "Choose another place with -o FILE.") as file:
                file.write(content)
            return output
    most = MAXIMUM_BYTES / 1e6
    raise StoreError(f"{page.subject} takes {size / 1e6:.1f} MB, over {most:.0f} MB", advice)


def _html(page: Page, template: str, points: int, packed: bool) -> str:
    """Return the page; `packed` compresses the library, which old browsers cannot undo."""
    library = _library() if page.plots() else ""
    return environment().get_template(f"{template}.html.j2").render(
        version=__version__,
        page=page,
        plots={name: _drawable(plot, points) for name, plot in page.plots().items()},
        plotly=library,
        packed=_packed(library) if packed and library else "",
    )  # fmt: skip


def _library() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


@functools.lru_cache(maxsize=1)
def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _drawable(plot: Plot, points: int) -> dict[str, Any]:
    shown: dict[str, Any] = plotly_text.drawable(
        {"data": [fewer(trace, points) for trace in plot.data], "layout": plot.layout}
    )
    return shown
