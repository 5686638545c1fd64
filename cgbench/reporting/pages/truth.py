"""What the page of truth tables says: one column group per host, the worst options first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cgbench.records.host import Host
from cgbench.records.truth import SIGNS, Row, TruthTable
from cgbench.records.verdict import (
    NOT_IN_FORCE,
    Enforced,
    Outcome,
    Point,
    TimeToEffect,
    Value,
    Verdict,
)
from cgbench.reporting.pages.interaction_grid import Grid, grid
from cgbench.reporting.plots.host_times import STAGES, Lane, host_times
from cgbench.reporting.plots.plot import Plot
from cgbench.reporting.plots.time_to_effect import time_to_effect
from cgbench.reporting.words import truth, truth_cells
from cgbench.reporting.words.host_differences import (
    HostDifference,
    fact_differences,
    option_differences,
)
from cgbench.reporting.words.hosts import caveat, described, names
from cgbench.spec.options import OPTIONS
from cgbench.units import format_duration, format_size

WORST_FIRST = (
    Outcome.WRONG, Outcome.IGNORED, Outcome.DISCARDED, Outcome.INEFFECTIVE, Outcome.REVERTED,
    Outcome.REJECTED, Outcome.PARTIAL, Outcome.IMPRECISE, Outcome.INCONCLUSIVE,
    Outcome.UNSUPPORTED, Outcome.EFFECTIVE,
)  # fmt: skip
"""Verdicts in the order of the page: accepted by Docker but not in force comes first."""

_TONES = {
    Outcome.IMPRECISE: "imprecise",
    Outcome.REJECTED: "refused",
    Outcome.PARTIAL: "refused",
    Outcome.INCONCLUSIVE: "undecided",
    Outcome.UNSUPPORTED: "undecided",
    Outcome.EFFECTIVE: "holds",
}
_TONE_WORDS = {
    "fiction": "not in force",
    "imprecise": "imprecise",
    "refused": "refused, or some values",
    "undecided": "undecided",
    "holds": "in force",
}


MEANINGS = {
    Outcome.WRONG: "another value or effect than asked, or more",
    Outcome.IGNORED: "accepted, but the kernel's value never changed",
    Outcome.DISCARDED: "accepted with a warning that it was dropped",
    Outcome.INEFFECTIVE: "in the kernel's file, but the workload does not change",
    Outcome.REVERTED: "took hold, then was undone",
    Outcome.IMPRECISE: "takes hold, a little outside its band",
    Outcome.REJECTED: "refused with an error",
    Outcome.PARTIAL: "some values hold, others are refused",
    Outcome.INCONCLUSIVE: "disturbed, or not measured: never a pass",
    Outcome.UNSUPPORTED: "this host cannot do it; the unmet precondition is named",
    Outcome.EFFECTIVE: "accepted, held to the end, felt within its band",
}
"""Each verdict as the page's legend explains it."""


@dataclass(frozen=True)
class Term:
    """A verdict that occurs on the page, and what it means."""

    word: str
    sign: str
    tone: str
    meaning: str


@dataclass(frozen=True)
class FileCell:
    """One interface file in the table, for a reader; `good` is None where nothing is expected."""

    file: str
    before: str
    after: str
    expected: str | None
    good: bool | None


@dataclass(frozen=True)
class Cell:
    """One option on one host; `files` are around the value `at`, or else the last accepted one."""

    row: Row
    tone: str
    sign: str
    declared: str
    files: tuple[FileCell, ...]
    at: str | None
    worst: Point | None
    times: TimeToEffect
    surprises: tuple[str, ...]

    @property
    def says(self) -> str | None:
        """Docker's words, unless the reason quotes them."""
        one = self.row.verdict
        words = (*one.declared.warnings, *one.declared.refused)
        return next((text for text in words if text not in one.reason), None)

    @property
    def departing(self) -> tuple[Value, ...]:
        """The values that are not effective, each with a reason of its own."""
        values = self.row.verdict.values
        return tuple(one for one in values if one.verdict is not Outcome.EFFECTIVE)

    @property
    def roles(self) -> int:
        """How many containers the values were tried on."""
        return len({one.role for one in self.row.verdict.values})

    @property
    def verdict(self) -> Verdict:
        """The verdict with all its details."""
        return self.row.verdict


@dataclass(frozen=True)
class Line:
    """One option: a cell per host, None where it was not measured there.

    `place` is its place in the registry, `differences` what differs between hosts.
    """

    option: str
    flag: str
    summary: str
    place: int
    cells: tuple[Cell | None, ...]
    differences: tuple[HostDifference, ...]

    @property
    def differs(self) -> bool:
        """Whether the hosts come to different verdicts."""
        return any(one.verdict for one in self.differences)

    @property
    def tone(self) -> str:
        """The worst tone among the hosts, by which the table is filtered."""
        tones = {cell.tone for cell in self.cells if cell is not None}
        return next(tone for tone in _TONE_WORDS if tone in tones)


@dataclass(frozen=True)
class HostColumn:
    """One host: its name, unique on the page, and its facts in one line."""

    anchor: str
    name: str
    facts: str
    measured: str
    findings: tuple[str, ...]
    headline: str
    caveat: str | None
    unmeasured: tuple[str, ...]
    grid: Grid | None


@dataclass(frozen=True)
class TruthPage:
    """The page: `filters` are tone, words and number of options.

    `facts` are what differs between the hosts themselves, `times` the times to effect of all.
    """

    headline: str
    hosts: tuple[HostColumn, ...]
    facts: tuple[HostDifference, ...]
    times: Plot | None
    lines: tuple[Line, ...]
    filters: tuple[tuple[str, str, int], ...]
    legend: tuple[Term, ...]

    def plots(self) -> dict[str, Plot]:
        """Return every plot by the identity of its element on the page."""
        return {} if self.times is None else {f"truth-{self.times.name}": self.times}

    @property
    def differing(self) -> int:
        """How many options have more than one verdict."""
        return sum(line.differs for line in self.lines)


def truth_page(tables: Sequence[TruthTable], named: Sequence[str] | None = None) -> TruthPage:
    """Gather the page of one or many truth tables; `named` are the hosts' names."""
    called = list(named or names([table.host for table in tables]))
    hosts = tuple(
        _host_column(table, f"host-{number}", name)
        for number, (table, name) in enumerate(zip(tables, called, strict=True), 1)
    )
    lines = sorted(_lines(tables), key=_rank)
    tones = [line.tone for line in lines]
    return TruthPage(
        headline=hosts[0].headline if len(tables) == 1 else truth.compared(tables, called),
        hosts=hosts,
        facts=tuple(fact_differences([table.host for table in tables])),
        times=_times(tables, called),
        lines=tuple(lines),
        filters=tuple(
            (tone, words, tones.count(tone)) for tone, words in _TONE_WORDS.items() if tone in tones
        ),
        legend=tuple(
            Term(outcome.value, SIGNS[outcome], tone(outcome), MEANINGS[outcome])
            for outcome in WORST_FIRST
            if any(row.verdict.verdict is outcome for table in tables for row in table.rows)
        ),
    )


def _host_column(table: TruthTable, anchor: str, name: str) -> HostColumn:
    return HostColumn(
        anchor=anchor,
        name=name,
        facts=host_facts(table.host),
        measured=f"{table.started[:16].replace('T', ' ')} UTC, in "
        f"{format_duration(table.elapsed_s * 1e9)}",
        findings=tuple(truth.findings(table)),
        headline=truth.headline(table),
        caveat=caveat(table.host),
        unmeasured=table.unmeasured,
        grid=grid(table.interactions),
    )


def _times(tables: Sequence[TruthTable], called: Sequence[str]) -> Plot | None:
    """Plot the times to effect: of one host, or of several side by side."""
    known = [
        [(f"--{row.verdict.option}", truth_cells.times(row.verdict)) for row in table.rows]
        for table in tables
    ]
    if len(known) == 1:
        return time_to_effect(known[0], "effect")
    lanes = [
        Lane(described(name, table.host), {label: _stages(one) for label, one in times})
        for name, table, times in zip(called, tables, known, strict=True)
    ]
    return host_times(lanes, "effect")


def _stages(one: TimeToEffect) -> dict[str, list[float]]:
    values = (one.answer, one.enforced, one.experienced)
    return {
        words: [value]
        for (words, _), value in zip(STAGES, values, strict=True)
        if value is not None
    }


def host_facts(host: Host) -> str:
    """Return the facts that a verdict depends on, in one line."""
    swap = f"{format_size(host.swap_bytes)} swap" if host.swap_bytes else "no swap"
    return (
        f"cgroup {host.cgroup} with the {host.cgroup_driver} driver, kernel "
        f"{host.kernel}, {host.engine_words}, {host.runtime_words}, {host.os}, {host.cpus} × "
        f"{host.cpu_model}, {format_size(host.memory_bytes)} and {swap}"
    )


def _lines(tables: Sequence[TruthTable]) -> list[Line]:
    by_host = [{row.verdict.option: row for row in table.rows} for table in tables]
    differing = {one.option: one.found for one in option_differences(tables)}
    return [
        Line(
            option=option.name,
            flag=option.flag,
            summary=option.summary,
            place=place,
            cells=tuple(
                _cell(rows[option.name]) if option.name in rows else None for rows in by_host
            ),
            differences=differing.get(option.name, ()),
        )
        for place, option in enumerate(OPTIONS.values())
        if any(option.name in rows for rows in by_host)
    ]


def _rank(line: Line) -> int:
    return min(
        WORST_FIRST.index(cell.verdict.verdict) for cell in line.cells if cell is not None
    )  # fmt: skip


def tone_of(row: Row) -> str:
    """Return the tone in which a row is shown: that of its verdict, unless it fails otherwise."""
    return "fiction" if row.fails else tone(row.verdict.verdict)


def tone(outcome: Outcome) -> str:
    """Return the tone in which a verdict is shown."""
    return _TONES.get(outcome, "fiction")


def _cell(row: Row) -> Cell:
    one = row.verdict
    # What fails has files of its own to show, where a file shows it.
    odd = next((value for value in one.values if one.fails and _off(value)), None)
    around = one.enforced if odd is None else odd.files
    return Cell(
        row=row,
        tone=tone_of(row),
        sign=SIGNS[one.verdict],
        declared=truth_cells.declared(one.declared),
        files=tuple(_file_cell(one.option, name, found) for name, found in around.items()),
        at=None if odd is None else odd.label,
        worst=truth_cells.worst_point(one),
        times=truth_cells.times(one),
        surprises=tuple(truth_cells.surprises(row)),
    )


def _off(value: Value) -> bool:
    """Say whether a value fails, and a file of it is not as it should be."""
    files = (one for one in value.files.values() if one.expected is not None)
    return value.verdict in NOT_IN_FORCE and any(one.after != one.expected for one in files)


def _file_cell(option: str, name: str, found: Enforced) -> FileCell:
    before, after, expected = truth_cells.file_change(option, found)
    good = None if found.expected is None else found.after == found.expected
    return FileCell(name, before, after, expected, good)
