"""What the page of the atlas says: options by hosts, each option, and neighbours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cgbench.foreign import printable
from cgbench.judging.atlas import Difference, Neighbours, neighbours
from cgbench.judging.verdict import advice_on
from cgbench.records.atlas import AtlasRow
from cgbench.records.host_key import PARTS, HostKey, host_key
from cgbench.records.truth import SIGNS, Row, TruthTable
from cgbench.records.verdict import NOT_IN_FORCE, Outcome, Value
from cgbench.reporting.pages.truth import MEANINGS, WORST_FIRST, Term, host_facts, tone, tone_of
from cgbench.reporting.plots.plot import Plot
from cgbench.reporting.words import atlas as words
from cgbench.reporting.words import truth_cells
from cgbench.spec.metrics import METRICS
from cgbench.spec.options import OPTIONS
from cgbench.wording import count

_DIGITS = 6
# Each container has another, and no reader has that one.
_CONTAINER = re.compile(r"[0-9a-f]{64}")
_POINT = (
    "requested", "note", "role", "metric", "unit", "expected", "value", "error_pct", "tolerance",
    "tolerance_above", "within",
)  # fmt: skip

_NO_TIMES = "Its CPU is emulated, so no times are shown."
_NOT_LOOKED_FOR = "Whether updates of other options undo a value was not looked for."


@dataclass(frozen=True)
class Column:
    """One host: a row of the atlas, or one of the reader's own, which then is `yours`.

    `remark` is what a reader must know of all its verdicts.
    """

    name: str
    title: str
    key: HostKey
    facts: str
    measured: str
    yours: bool
    remark: str | None
    packages: Mapping[str, str]

    @property
    def parts(self) -> dict[str, str]:
        """The key in words, by part."""
        return {part.name: self.key.words(part.name) for part in PARTS}


@dataclass(frozen=True)
class Cell:
    """One option on one host; `also` says that more was found than the verdict says."""

    column: str
    option: str
    outcome: Outcome
    sign: str
    tone: str
    also: bool


@dataclass(frozen=True)
class Group:
    """The hosts on which an option has one verdict."""

    term: Term
    where: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Change:
    """What becomes of one option from one neighbour to the other."""

    pair: Neighbours
    what: str
    difference: Difference
    before: Term
    after: Term
    why_before: str
    why_after: str


@dataclass(frozen=True)
class Line:
    """One option: a cell per host, None where it was not measured there.

    `instead` is what its experiment advises where it does not do what it says.
    """

    option: str
    flag: str
    summary: str
    cells: tuple[Cell | None, ...]
    groups: tuple[Group, ...]
    instead: tuple[str, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Pair:
    """Two neighbours on the page."""

    pair: Neighbours
    what: str
    outcome: str
    changes: tuple[Change, ...]

    @property
    def texts(self) -> list[str]:
        """What differs in interface files, a line each."""
        return [printable(_shared(words.text(one))) for one in self.pair.texts]


@dataclass(frozen=True)
class Filter:
    """One part of the key by which hosts are filtered: its values, as they are on the page."""

    part: str
    words: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class AtlasPage:
    """The page; `left_out` are files of rows, and what is wrong with each."""

    headline: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    pairs: tuple[Pair, ...]
    filters: tuple[Filter, ...]
    legend: tuple[Term, ...]
    left_out: tuple[tuple[str, str], ...]
    cells: Mapping[str, Mapping[str, object]]

    title = "Atlas of container limits · cgbench"
    source = "truth tables"

    @property
    def subject(self) -> str:
        """What the page is of, as an error names it."""
        return f"an atlas of {count(len(self.columns), 'host')}"

    @property
    def parts(self) -> Sequence[Filter]:
        """The parts of the key that are shown above each host: those that are not all the same."""
        return self.filters

    def plots(self) -> dict[str, Plot]:
        """Return no plots."""
        return {}

    def documents(self) -> Mapping[str, object]:
        """Return what a cell shows when it is opened, and what a reader's own table needs."""
        return {"atlas": {
            "columns": {
                one.name: _visible({
                    "title": one.title, "line": one.key.line, "facts": one.facts,
                    "measured": one.measured, "remark": one.remark,
                    "packages": [f"{name} {version}" for name, version in one.packages.items()],
                })
                for one in self.columns
            },
            "cells": self.cells,
            "options": list(OPTIONS),
            "signs": {outcome.value: sign for outcome, sign in SIGNS.items()},
            "tones": {outcome.value: tone(outcome) for outcome in Outcome},
            "fails": [outcome.value for outcome in NOT_IN_FORCE],
            "metrics": {name: one.label for name, one in METRICS.items()},
            "remarks": {"emulated": _NO_TIMES, "alone": _NOT_LOOKED_FOR},
        }}  # fmt: skip


def atlas_page(
    rows: Sequence[AtlasRow],
    beside: Sequence[TruthTable] = (),
    *,
    left_out: Sequence[tuple[str, str]] = (),
    other_rules: Sequence[str] = (),
) -> AtlasPage:
    """Gather the page's contents; the reader's own hosts come first, then the older kernels."""
    rows = sorted(rows, key=lambda row: _place(row.key))
    own = [_own(table, number) for number, table in enumerate(beside, 1)]
    columns = (*own, *(_column(row, other_rules) for row in rows))
    tables = [*beside, *(row.table for row in rows)]
    pairs = [_pair(one) for one in neighbours(rows)]
    lines = _lines(columns, tables, [change for pair in pairs for change in pair.changes])
    outcomes = [cell.outcome for line in lines for cell in line.cells if cell is not None]
    return AtlasPage(
        headline=words.headline(_by_option(lines), len(columns)),
        columns=columns,
        lines=tuple(lines),
        pairs=tuple(pairs),
        filters=tuple(_filters([column for column in columns if not column.yours] or columns)),
        legend=tuple(_term(outcome) for outcome in WORST_FIRST if outcome in outcomes),
        left_out=tuple(left_out),
        cells={
            column.name: {row.verdict.option: cell_document(row, table) for row in table.rows}
            for column, table in zip(columns, tables, strict=True)
        },
    )


def _place(key: HostKey) -> tuple[object, ...]:
    """Return what sorts hosts, so that neighbours stand near one another."""
    release = [int(number) for number in re.findall(r"\d+", key.kernel)]
    return key.emulated, release, *(key.words(part.name) for part in PARTS[1:])


def _by_option(lines: Sequence[Line]) -> dict[str, list[Outcome]]:
    return {
        line.option: [cell.outcome for cell in line.cells if cell is not None] for line in lines
    }


def _own(table: TruthTable, number: int) -> Column:
    # No row has a capital in its name.
    name = "Your-host" if number == 1 else f"Your-host-{number}"
    return Column(
        name=name, title=table.host.hostname, key=host_key(table.host),
        facts=host_facts(table.host), measured=_day(table.started), yours=True,
        remark=_remark(table), packages={},
    )  # fmt: skip


def _column(row: AtlasRow, other_rules: Sequence[str]) -> Column:
    other = "It was judged by other rules than this cgbench has." if row.name in other_rules else ""
    remark = " ".join(filter(None, (_remark(row.table), other)))
    return Column(
        name=row.name, title=row.title, key=row.key, facts=host_facts(row.table.host),
        measured=row.measured.isoformat(), yours=False, remark=remark or None,
        packages=row.packages,
    )  # fmt: skip


def _remark(table: TruthTable) -> str | None:
    emulated = _NO_TIMES if table.host.emulated else ""
    alone = "" if table.interactions else _NOT_LOOKED_FOR
    return " ".join(filter(None, (emulated, alone))) or None


def _day(started: str) -> str:
    try:
        return datetime.fromisoformat(started).date().isoformat()
    except ValueError:
        return started


def _filters(columns: Sequence[Column]) -> list[Filter]:
    """Return the parts of the key in which hosts differ, and so can be filtered."""
    found = []
    for part in PARTS:
        values = tuple(dict.fromkeys(column.parts[part.name] for column in columns))
        if len(values) > 1:
            found.append(Filter(part.name, part.words, tuple(filter(None, values))))
    return found


def _lines(
    columns: Sequence[Column], tables: Sequence[TruthTable], changes: Sequence[Change]
) -> list[Line]:
    by_host = [{row.verdict.option: row for row in table.rows} for table in tables]
    lines = []
    for option in OPTIONS.values():
        rows = [rows.get(option.name) for rows in by_host]
        if not any(rows):
            continue
        cells = [
            None if row is None else _cell(column.name, row)
            for column, row in zip(columns, rows, strict=True)
        ]
        lines.append(Line(
            option=option.name, flag=option.flag, summary=option.summary, cells=tuple(cells),
            groups=tuple(_groups(cells)),
            instead=tuple(dict.fromkeys(_instead(row) for row in rows if row and _instead(row))),
            changes=tuple(one for one in changes if one.difference.option == option.name),
        ))  # fmt: skip
    return lines


def _cell(column: str, row: Row) -> Cell:
    outcome = row.verdict.verdict
    also = bool(truth_cells.surprises(row)) or (row.fails and outcome not in NOT_IN_FORCE)
    return Cell(column, row.verdict.option, outcome, SIGNS[outcome], tone_of(row), also)


def _groups(cells: Sequence[Cell | None]) -> list[Group]:
    there = [cell for cell in cells if cell is not None]
    found = []
    for outcome in WORST_FIRST:
        having = tuple(cell for cell in there if cell.outcome is outcome)
        if having:
            where = words.everywhere([cell.column for cell in having], len(there))
            found.append(Group(_term(outcome), where, having))
    return found


def _instead(row: Row) -> str:
    """Return the advice of the option's own experiment; what is said of any verdict is none."""
    advice = row.verdict.advice or ""
    return "" if advice == advice_on(row.verdict.verdict) else advice


def _pair(one: Neighbours) -> Pair:
    what = words.changed(one)
    changes = tuple(
        Change(
            one,
            what,
            each,
            _term(each.before.verdict),
            _term(each.after.verdict),
            _shared(each.before.reason),
            _shared(each.after.reason),
        )
        for each in one.differences
    )
    return Pair(one, what, words.outcome(one), changes)


def _term(outcome: Outcome) -> Term:
    return Term(outcome.value, SIGNS[outcome], tone(outcome), MEANINGS[outcome])


def cell_document(row: Row, table: TruthTable) -> dict[str, Any]:
    """Return what a cell shows when it is opened: keys of a truth table, and no more than that.

    Times of an emulated CPU are left out, and so is which container it was. A script shows the
    texts: what a reader would not see of them is made visible here.
    """
    one = row.verdict
    found: dict[str, Any] = {
        "verdict": one.verdict.value,
        "tone": tone_of(row),
        "reason": one.reason,
        "advice": one.advice,
        "declared": one.declared.model_dump(mode="json"),
        "control": one.control,
        "undone_by": list(one.undone_by),
        "also": truth_cells.surprises(row),
        "values": [_value(value) for value in one.values],
        "experienced": [
            {key: _rounded(value) for key, value in point.model_dump(mode="json").items()
             if key in _POINT and value is not None}
            for point in one.experienced
        ],
        "enforced": {
            name: file.model_dump(mode="json") for name, file in one.enforced.items()
        },
    }  # fmt: skip
    if not table.host.emulated:
        times = truth_cells.times(one).model_dump(mode="json")
        found["time_to_effect_ms"] = {key: _rounded(value) for key, value in times.items()}
    return {key: _visible(value) for key, value in found.items() if value not in (None, [], {})}


def _value(value: Value) -> dict[str, Any]:
    document = value.model_dump(mode="json")
    document["files"] = {
        name: {key: text for key, text in file.items() if key != "path"}
        for name, file in document["files"].items()
    }
    return document


def _visible(value: Any) -> Any:
    if isinstance(value, str):
        return printable(_shared(value))
    if isinstance(value, Mapping):
        return {_visible(key): _visible(one) for key, one in value.items()}
    return [_visible(one) for one in value] if isinstance(value, list) else value


def _rounded(value: object) -> object:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _shared(text: str) -> str:
    """Return a text with a word for the container that it speaks of."""
    return _CONTAINER.sub("CONTAINER", text)
