"""The page of runs and truth tables: its contents, and the names of its hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cgbench.judging.run import Run
from cgbench.records.agreement import identity
from cgbench.records.truth import TruthTable
from cgbench.reporting.pages.run import RunPage, run_page
from cgbench.reporting.pages.side_by_side import SideBySide, on_several_hosts
from cgbench.reporting.pages.truth import TruthPage, truth_page
from cgbench.reporting.plots.plot import Plot
from cgbench.reporting.words import hosts as host_names
from cgbench.wording import count


@dataclass(frozen=True)
class ReportPage:
    """All that is on the page: `truth` is None where there is no truth table."""

    tables: Sequence[TruthTable]
    truth: TruthPage | None
    compared: Sequence[SideBySide]
    runs: Sequence[RunPage]

    source = "readings"

    @property
    def title(self) -> str:
        """What the browser's tab says."""
        if self.truth is not None:
            return f"Truth table · {', '.join(host.name for host in self.truth.hosts)} · cgbench"
        experiments = dict.fromkeys(page.record.experiment.name for page in self.runs)
        one = len(self.runs) == 1
        where = self.runs[0].record.run if one else count(len(self.runs), "run")
        return f"{', '.join(experiments)} · {where} · cgbench"

    @property
    def subject(self) -> str:
        """What the page is of, as an error names it."""
        return f"a report of {count(len(self.runs), 'run')}"

    def plots(self) -> dict[str, Plot]:
        """Return every plot by the identity of its element on the page."""
        found = {} if self.truth is None else self.truth.plots()
        for compared in self.compared:
            found |= compared.plots()
        for run in self.runs:
            found |= run.plots()
        return found

    def documents(self) -> Mapping[str, object]:
        """Return the truth tables and the runs' figures as plain data."""
        found: dict[str, object] = {}
        if self.tables:
            found["truth"] = [table.to_json() for table in self.tables]
        if self.runs:
            found["summary"] = {"runs": [run.to_json() for run in self.runs]}
        return found


def report_page(runs: Sequence[Run], tables: Sequence[TruthTable], curve_points: int) -> ReportPage:
    """Gather the page's contents; lines over time get about `curve_points` points."""
    pages = [run_page(run, f"run-{number}", curve_points) for number, run in enumerate(runs, 1)]
    # A host has one name on the page, but each table needs its own, even of the same host.
    hosts = {identity(one): one for one in (
        *(table.host for table in tables), *(page.record.host for page in pages))}  # fmt: skip
    called = dict(zip(hosts, host_names.names(list(hosts.values())), strict=True))
    mine = [called[identity(table.host)] for table in tables]
    if len(set(mine)) < len(mine):
        mine = host_names.names([table.host for table in tables])
    truth = truth_page(tables, mine) if tables else None
    return ReportPage(tables, truth, on_several_hosts(runs, called), pages)
