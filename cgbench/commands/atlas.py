"""The atlas: read its rows, check them, add one, and write its page."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgbench.errors import StoreError
from cgbench.judging.atlas import Neighbours, Side, follows, neighbours
from cgbench.judging.contradiction import contradictions
from cgbench.judging.elsewhere import elsewhere
from cgbench.records import atlas, output_folder, rules, truth, writing
from cgbench.records.atlas import AtlasRow
from cgbench.records.elsewhere import Elsewhere
from cgbench.records.files import read_bytes
from cgbench.records.host import Host
from cgbench.records.host_key import host_key
from cgbench.records.results import find_truth
from cgbench.records.truth import TruthTable
from cgbench.records.versions import ATLAS

PAGE = "atlas.html"
"""The page below the results, where no other file is named."""

_PACKAGE = re.compile(r"(\S+?)(?:\s*=\s*|\s+)(\S.*)")
_MOST_PACKAGES_BYTES = 2**22


@dataclass(frozen=True)
class LeftOut:
    """A row that is not shown: its file, and why in one line."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Atlas:
    """The rows of a directory; `other_rules` are those of them that today's rules did not judge."""

    directory: Path
    rows: tuple[AtlasRow, ...]
    left_out: tuple[LeftOut, ...]
    other_rules: tuple[str, ...]

    @property
    def neighbours(self) -> tuple[Neighbours, ...]:
        """Every two rows whose hosts differ in one thing."""
        return neighbours(self.rows)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data: what `cgbench atlas --json` gives."""
        return {
            "schema_version": ATLAS.written,
            "directory": str(self.directory),
            "rows": [_row_json(row, self.other_rules) for row in self.rows],
            "neighbours": [_pair_json(one) for one in self.neighbours],
            "left_out": [{"path": str(one.path), "reason": one.reason} for one in self.left_out],
        }


def _row_json(row: AtlasRow, other_rules: Sequence[str]) -> dict[str, Any]:
    verdicts = {
        one.verdict.option: {"verdict": one.verdict.verdict.value, "fails": one.fails}
        for one in row.table.rows
    }
    head = row.model_dump(mode="json", exclude={"table", "schema_version", "packages"})
    return {
        **head,
        "todays_rules": row.name not in other_rules,
        "key": row.key.model_dump(mode="json"),
        "verdicts": verdicts,
    }


def _pair_json(one: Neighbours) -> dict[str, Any]:
    return {
        "before": one.before.name,
        "after": one.after.name,
        "part": one.part,
        "from": one.before.key.words(one.part),
        "to": one.after.key.words(one.part),
        "compared": list(one.compared),
        "differences": [
            {
                "option": each.option,
                "before": _side_json(each.before),
                "after": _side_json(each.after),
            }
            for each in one.differences
        ],
        "texts": [dataclasses.asdict(each) for each in one.texts],
    }


def _side_json(side: Side) -> dict[str, Any]:
    return {"verdict": side.verdict.value, "fails": side.fails, "reason": side.reason}


def directory_of(given: Path | None, results: Path) -> Path:
    """Return where rows are: where somebody says, else below the results, else what was shipped.

    Raises StoreError where somebody names what is no directory.
    """
    if given is not None:
        if not given.is_dir():
            raise StoreError(f"--rows {given}: no such directory", "Name one with *.json rows.")
        return given
    here = results / atlas.FOLDER
    return here if atlas.paths(here) else atlas.shipped()


def gathered(directory: Path) -> Atlas:
    """Read every row of a directory; one that is damaged or does not follow hides no other."""
    rows, left_out, other = [], [], []
    for path in atlas.paths(directory):
        try:
            row = atlas.read(path)
        except StoreError as error:
            left_out.append(LeftOut(path, error.message.removeprefix(f"{path}: ")))
            continue
        found = follows(row)
        if not found.good:
            first = found.contradictions[0]
            more = len(found.contradictions) - 1
            rest = f" (and {more} more)" if more else ""
            reason = f"a verdict does not follow: --{first.option}: {first.reason}{rest}"
            left_out.append(LeftOut(path, reason))
            continue
        rows.append(row)
        other += [row.name] if found.other_rules is not None else []
    return Atlas(directory, tuple(rows), tuple(left_out), tuple(other))


def nearest(host: Host, directory: Path, asked: Collection[str] | None = None) -> Elsewhere | None:
    """Return what was measured on the host most like `host`, of the options `asked`, or of all."""
    return elsewhere(gathered(directory).rows, host_key(host), asked)


def hosts(names: Sequence[str], results: Path) -> list[TruthTable]:
    """Read the truth tables that are shown beside the rows. Raises StoreError where one is none."""
    return [truth.read(_table(name, results)) for name in names]


def latest(results: Path) -> Path | None:
    """Return the latest truth table among the results, None where nothing was verified."""
    return find_truth("verify", results)


def _table(name: str, results: Path) -> Path:
    path = find_truth(name, results)
    if path is None:
        raise StoreError(
            f"no truth table is called {name}",
            "Name what `cgbench verify` left: truth.json, its directory, or `verify` for the last.",
        )
    return path


def write_page(
    found: Atlas, beside: Sequence[TruthTable], output: Path | None, results: Path
) -> Path:
    """Write the page, and return its path. Raises StoreError where there is nothing to show."""
    if not found.rows and not beside:
        raise StoreError(
            f"no row of the atlas can be shown from {found.directory}",
            "Name a directory with --rows, add a row with --add, or show a table with --with.",
        )
    path = output or results / PAGE
    if output is None:
        with writing.explained(path), output_folder.opened(path.parent, make=True):
            pass
    # Here and not above: a check needs none of what draws.
    from cgbench.reporting.render import write_atlas

    left_out = [(one.path.name, one.reason) for one in found.left_out]
    return write_atlas(found.rows, beside, path, left_out=left_out, other_rules=found.other_rules)


@dataclass(frozen=True)
class Addition:
    """A row to add: what its file is called, its title, and a list of packages, if there are."""

    name: str
    title: str | None = None
    packages: Path | None = None
    replace: bool = False


def add(table: str, wanted: Addition, directory: Path, results: Path) -> Path:
    """Write the row of a truth table, or that of a row anew by today's rules; return its path.

    Raises StoreError where the table contradicts itself by today's rules, or where the name is that
    of another host's row and nobody asked to replace it.
    """
    source = _table(table, results)
    there = atlas.read(source) if atlas.is_row(source) else None
    packages = {} if there is None else there.packages
    row = atlas.made(
        truth.read(source) if there is None else there.table,
        name=wanted.name,
        title=wanted.title or (None if there is None else there.title),
        rules=rules.digest(),
        packages=packages if wanted.packages is None else read_packages(wanted.packages),
    )
    for one in contradictions(row.table):
        raise StoreError(
            f"{source}: a verdict does not follow by today's rules: --{one.option}: {one.reason}",
            "Measure this host anew: cgbench verify.",
        )
    path = atlas.path_of(row.name, directory)
    if path.exists() and not wanted.replace:
        _require_same_host(path, row)
    return atlas.write(row, directory)


def _require_same_host(path: Path, row: AtlasRow) -> None:
    advice = "Give another --name, or --replace to write over it."
    try:
        there = atlas.read(path)
    except StoreError as error:
        raise StoreError(f"{path} is there and cannot be read: {error.message}", advice) from None
    if there.key != row.key:
        raise StoreError(f"{path} is the row of another host: {there.key.line}", advice)


def read_packages(path: Path) -> dict[str, str]:
    """Read a list of packages: a name and a version on each line, as `dpkg-query -W` prints them.

    Between them may be blanks or `=`; empty lines and comments are passed over. Raises StoreError,
    which names the line, where one is neither.
    """
    text = read_bytes(path, "Write it with: dpkg-query -W.", _MOST_PACKAGES_BYTES)
    found: dict[str, str] = {}
    for number, line in enumerate(text.decode(errors="replace").splitlines(), 1):
        said = line.partition("#")[0].strip()
        if not said:
            continue
        match = _PACKAGE.fullmatch(said)
        if match is None or match[1] in found:
            what = "has no version" if match is None else "is there twice"
            raise StoreError(f"{path}: line {number}: {said!r} {what}", "One package a line.")
        found[match[1]] = match[2]
    return found
