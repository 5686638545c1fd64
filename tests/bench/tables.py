"""Truth tables of one host that were measured again and again, and the verdicts that differ.

What is compared is the verdict on an option and whether its row fails: both decide exit statuses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cgbench.records import truth
from cgbench.records.results import truth_tables
from cgbench.records.truth import Row, TruthTable
from cgbench.records.verdict import Outcome


@dataclass(frozen=True)
class Said:
    """What one table says of an option: the verdict, and whether its row fails."""

    verdict: Outcome
    fails: bool

    def __str__(self) -> str:
        return f"{self.verdict}, exit {int(self.fails)}" if self.fails else str(self.verdict)


@dataclass(frozen=True)
class Odd:
    """A row that says something else than is expected of its option, and the table it is in."""

    path: Path
    row: Row
    expected: Said

    def __str__(self) -> str:
        one = self.row.verdict
        states = "".join(f"; in state {state.state} Docker says what is not so"
                         for state in self.row.belied)  # fmt: skip
        return (
            f"--{one.option}: {said(self.row)}, not {self.expected}: {one.reason}{states}"
            f"\n    {self.path}"
        )


Tables = Mapping[Path, TruthTable]


def read(folder: Path) -> dict[Path, TruthTable]:
    """Read all tables in a folder of results, oldest first."""
    return {path: truth.read(path) for path in truth_tables(folder)}


def kept(folder: Path, *, quick: bool) -> dict[Path, TruthTable]:
    """Read all tables in a folder of results.

    Raises SystemExit where they cannot be counted together: of another form, host or cgbench.
    """
    found = read(folder)
    first = next(iter(found.values()), None)
    for path, table in found.items():
        if any((row.survival is None) != quick for row in table.rows):
            form = "in full" if quick else "with --quick"
            raise SystemExit(f"{path} was measured {form}: choose another folder")
        if first is not None and _where(table) != _where(first):
            raise SystemExit(f"{path} is of {_where(table)}, others of {_where(first)}")
    return found


def _where(table: TruthTable) -> str:
    one = table.host
    return f"{one.hostname}, Linux {one.kernel}, Docker {one.docker}, cgbench {one.cgbench}"


def lacking(tables: Tables, options: Sequence[str], number: int) -> list[str]:
    """Return the options with fewer than so many verdicts."""
    counted = Counter(row.verdict.option for _, row in _rows(tables))
    return [one for one in options if counted[one] < number]


def usual(tables: Tables, option: str) -> Said:
    """Return what most tables say of an option; of equals what was said first."""
    counted = Counter(said(row) for _, row in _rows(tables) if row.verdict.option == option)
    return counted.most_common(1)[0][0]


def differing(tables: Tables, options: Sequence[str]) -> list[Odd]:
    """Return all rows that say something else than most tables say of their option."""
    expected = {one: usual(tables, one) for one in options}
    return list(_odd(tables, expected))


def decided(tables: Tables, options: Sequence[str]) -> dict[str, Said]:
    """Return what more than half of the tables say of each option, and what can be wrong.

    Raises SystemExit where that is not known of one.
    """
    found = {}
    for option in options:
        rows = [row for _, row in _rows(tables) if row.verdict.option == option]
        if not rows:
            raise SystemExit(f"the reference has no verdict on --{option}")
        most = usual(tables, option)
        agreeing = sum(said(row) == most for row in rows)
        if most.verdict is Outcome.INCONCLUSIVE or 2 * agreeing <= len(rows):
            raise SystemExit(
                f"the reference does not decide --{option}: {most} in {agreeing} of {len(rows)}"
            )
        found[option] = most
    return found


def wrong(tables: Tables, expected: Mapping[str, Said]) -> list[Odd]:
    """Return the rows that decide, and otherwise than expected."""
    return [
        one for one in _odd(tables, expected) if one.row.verdict.verdict is not Outcome.INCONCLUSIVE
    ]


def left_open(tables: Tables, expected: Mapping[str, Said]) -> list[Odd]:
    """Return the rows that decide nothing."""
    return [
        one for one in _odd(tables, expected) if one.row.verdict.verdict is Outcome.INCONCLUSIVE
    ]


def verdicts(tables: Tables, options: Sequence[str]) -> int:
    """Return how many verdicts on these options there are."""
    return sum(row.verdict.option in options for _, row in _rows(tables))


def said(row: Row) -> Said:
    """Return what a row says."""
    return Said(row.verdict.verdict, row.fails)


def _odd(tables: Tables, expected: Mapping[str, Said]) -> Iterator[Odd]:
    for path, row in _rows(tables):
        of = expected.get(row.verdict.option)
        if of is not None and said(row) != of:
            yield Odd(path, row, of)


def _rows(tables: Tables) -> Iterator[tuple[Path, Row]]:
    for path, table in tables.items():
        for row in table.rows:
            yield path, row
