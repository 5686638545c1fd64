"""One self-contained HTML page from one or many runs; the only importer of plotly."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from cgbench import __version__, wording
from cgbench.errors import StoreError
from cgbench.judging.comparison import Comparison
from cgbench.judging.history import History
from cgbench.judging.run import Run
from cgbench.records.agreement import identity
from cgbench.records.files import whole
from cgbench.records.truth import TruthTable
from cgbench.reporting.pages import interaction_grid
from cgbench.reporting.pages.comparison import ComparisonPage, comparison_page
from cgbench.reporting.pages.history import history_page
from cgbench.reporting.pages.run import RunPage, run_page
from cgbench.reporting.pages.side_by_side import SideBySide, on_several_hosts
from cgbench.reporting.pages.truth import TruthPage, truth_page
from cgbench.reporting.plots.plot import Plot, fewer
from cgbench.reporting.words import hosts as host_names
from cgbench.reporting.words import truth_cells

MAXIMUM_BYTES = 6_000_000
"""No page is larger."""

# As many points as a wide screen has columns.
_MOST_POINTS = 1500
# Points of a line, and whether the library is packed: the first that fits is taken.
_ATTEMPTS = ((_MOST_POINTS, False), (500, False), (500, True), (80, True))
_NUMBER_AND_UNIT = re.compile(r"(\d) (%|µs|ms|s\b|min\b|CPUs?\b|Hz\b|[KMG]iB\b)")


def write(runs: Sequence[Run], output: Path, tables: Sequence[TruthTable] = ()) -> Path:
    """Write the report of runs and truth tables to `output`, whole or not at all; return its path.

    Truth tables come first. An experiment that several hosts have run is laid side by side.
    Raises StoreError when it cannot be written, or when so many runs do not fit on one page.
    """
    return _put(output, _fitting(_content(runs, tables)))


def write_truth(tables: Sequence[TruthTable], output: Path) -> Path:
    """Write the page of one or many hosts' truth tables to `output`; return its path.

    Raises StoreError when it cannot be written.
    """
    return write((), output, tables)


@dataclass(frozen=True)
class _Content:
    """All that is on the page: `truth` is None where there is no truth table."""

    tables: Sequence[TruthTable]
    truth: TruthPage | None
    compared: Sequence[SideBySide]
    runs: Sequence[RunPage]

    def plots(self) -> dict[str, Plot]:
        found = {} if self.truth is None else self.truth.plots()
        for one in self.compared:
            found |= one.plots()
        for run in self.runs:
            found |= run.plots()
        return found


def write_comparisons(many: Sequence[Comparison], output: Path) -> Path:
    """Write the page of one or many comparisons to `output`; return its path.

    Raises StoreError when it cannot be written, or when so many do not fit on one page.
    """
    page, told = comparison_page(many), [one.to_json() for one in many]
    for packed in (False, True):
        content = _comparisons(page, told, packed).encode()
        if len(content) <= MAXIMUM_BYTES:
            return _put(output, content)
    what = f"a page of {wording.count(len(many), 'comparison')}"
    raise _too_large(len(content), what, "Compare fewer at once.")


def _comparisons(page: ComparisonPage, told: Sequence[dict[str, Any]], packed: bool) -> str:
    from plotly.offline import get_plotlyjs

    library = get_plotlyjs()
    return _environment().get_template("comparison.html.j2").render(
        title=page.title,
        version=__version__,
        page=page,
        comparisons=told,
        plots={name: _drawable(plot, _MOST_POINTS) for name, plot in page.plots().items()},
        plotly=library,
        packed=_packed(library) if packed else "",
    )  # fmt: skip


def _too_large(size: int, what: str, advice: str) -> StoreError:
    most = MAXIMUM_BYTES / 1e6
    return StoreError(f"{what} takes {size / 1e6:.1f} MB, over {most:.0f} MB", advice)


def write_history(history: History, output: Path) -> Path:
    """Write the page of a metric's history to `output`; return its path.

    Raises StoreError when it cannot be written, or when so many series do not fit on one page.
    """
    from plotly.offline import get_plotlyjs

    page, library, size = history_page(history), get_plotlyjs(), 0
    for packed in (False, True):
        html = _environment().get_template("history.html.j2").render(
            title=f"History of {history.metric} · cgbench",
            version=__version__,
            page=page,
            history=history.to_json(),
            plots={name: _drawable(plot, _MOST_POINTS) for name, plot in page.plots().items()},
            plotly=library,
            packed=_packed(library) if packed else "",
        )  # fmt: skip
        size = len(html.encode())
        if size <= MAXIMUM_BYTES:
            return _put(output, html.encode())
    raise StoreError(
        f"a history of {len(history.trends)} series takes {size / 1e6:.1f} MB, over "
        f"{MAXIMUM_BYTES / 1e6:.0f} MB",
        "Narrow it: --experiment NAME, --role ROLE or --requested VALUE.",
    )


def _put(output: Path, content: bytes) -> Path:
    with whole(output, "Choose another place with -o FILE.") as partial:
        partial.write_bytes(content)
    return output


def _fitting(content: _Content) -> bytes:
    size = 0
    for points, packed in _ATTEMPTS:
        html = _html(content, points, packed).encode()
        size = len(html)
        if size <= MAXIMUM_BYTES:
            return html
    raise _too_large(size, f"a report of {len(content.runs)} runs", "Report fewer runs at once.")


def _content(runs: Sequence[Run], tables: Sequence[TruthTable]) -> _Content:
    pages = [run_page(run, f"run-{number}", _MOST_POINTS) for number, run in enumerate(runs, 1)]
    # A host has one name on the page, and tables need one each, even of the same host.
    hosts = {identity(one): one for one in (
        *(table.host for table in tables), *(page.record.host for page in pages))}  # fmt: skip
    called = dict(zip(hosts, host_names.names(list(hosts.values())), strict=True))
    mine = [called[identity(table.host)] for table in tables]
    if len(set(mine)) < len(mine):
        mine = host_names.names([table.host for table in tables])
    truth = truth_page(tables, mine) if tables else None
    return _Content(tables, truth, on_several_hosts(runs, called), pages)


def _html(content: _Content, points: int, packed: bool) -> str:
    """Return the page; `packed` compresses the library, which old browsers cannot undo."""
    from plotly.offline import get_plotlyjs

    library = get_plotlyjs()
    return _environment().get_template("report.html.j2").render(
        title=_title(content),
        version=__version__,
        page=content.truth,
        tables=[table.to_json() for table in content.tables],
        compared_runs=content.compared,
        runs=content.runs,
        summaries=_summaries(content.runs),
        plots={name: _drawable(plot, points) for name, plot in content.plots().items()},
        plotly=library,
        packed=_packed(library) if packed else "",
    )  # fmt: skip


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _title(content: _Content) -> str:
    if content.truth is not None:
        hosts = ", ".join(host.name for host in content.truth.hosts)
        return f"Truth table · {hosts} · cgbench"
    pages = content.runs
    names = list(dict.fromkeys(page.record.experiment.name for page in pages))
    where = pages[0].record.run if len(pages) == 1 else wording.count(len(pages), "run")
    return f"{', '.join(names)} · {where} · cgbench"


def _summaries(pages: Sequence[RunPage]) -> dict[str, Any]:
    return {
        "runs": [
            {
                "run": page.record.run,
                "experiment": page.record.experiment.name,
                "summary": [one.to_json() for one in page.summary],
            }
            for page in pages
        ]
    }


def _drawable(plot: Plot, points: int) -> dict[str, Any]:
    return {"data": [fewer(trace, points) for trace in plot.data], "layout": plot.layout}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cgbench.reporting"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters |= {
        "prose": prose,
        "breakable": breakable,
        "count": lambda one, noun: wording.count(one if isinstance(one, int) else len(one), noun),
        "css": _css_colour,
        "capitalised": wording.capitalised,
        "amount": wording.amount,
        "significant": wording.significant,
        "signed": wording.signed_percent,
        "quantity": truth_cells.value,
        "figure": truth_cells.figure,
        "metric": truth_cells.metric,
        "control": truth_cells.control,
        "parted": truth_cells.parted,
        "ms": truth_cells.milliseconds_or_dash,
        "tried": truth_cells.tried,
        "born": truth_cells.born,
        "stage": truth_cells.stage,
        "difference": interaction_grid.change,
    }
    return environment


def prose(text: str) -> Markup:
    """Return text as HTML, escaped, with what stands in backticks as code.

    A number stays on one line with its unit.
    """
    parts = re.split(r"`([^`]*)`", _NUMBER_AND_UNIT.sub("\\1\N{NO-BREAK SPACE}\\2", text))
    return Markup("").join(
        _code(part) if index % 2 else escape(part) for index, part in enumerate(parts)
    )


def breakable(name: str) -> Markup:
    """Return a name as HTML, escaped, that a narrow column may break after `_` and `.`."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[_.])(?=.)", name))


def _code(text: str) -> Markup:
    # One word is not broken at its dashes; a whole command line may be.
    kind = "" if " " in text else ' class="word"'
    return Markup("<code" + kind + ">{}</code>").format(text)


def _css_colour(name: str) -> str:
    """Return a colour's role as CSS; a place on the scale is mixed from its three stops."""
    if not name.startswith("@scale:"):
        return f"var(--{name.removeprefix('@')})"
    share = float(name.removeprefix("@scale:"))
    low, high, part = ("low", "mid", 2 * share) if share < 0.5 else ("mid", "high", 2 * share - 1)
    return f"color-mix(in srgb, var(--scale-{high}) {100 * part:.1f}%, var(--scale-{low}))"
