"""A row of the atlas: one measured truth table with its host, kept to be committed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cgbench.errors import StoreError
from cgbench.records import truth
from cgbench.records.files import first_complaint, read_versioned
from cgbench.records.host_key import HostKey, host_key
from cgbench.records.truth import TruthTable
from cgbench.records.versions import ATLAS, DAMAGED, TRUTH, Versions
from cgbench.records.writing import write_file
from cgbench.spec.fields import Foreign, Label, Name, Title
from cgbench.spec.model import Model

FOLDER = "atlas"
"""Where rows are kept below the results, and within an installed cgbench."""

ADVICE = "Give a file that `cgbench atlas --add` wrote."
_NAME = re.compile(r"[a-z][a-z0-9-]{0,59}")


class AtlasRow(Model):
    """One host of the atlas, whose file is called `name`.

    `cgbench` is the version that measured it, `rules` are those by which its verdicts followed
    when the row was made, `measured` is the day, `digest` that of the truth table as it stands in
    the file, which nobody edits. `packages` are the versions of what was installed, by name; empty
    where nobody listed them.
    """

    schema_version: int = ATLAS.written
    name: Name
    title: Title
    cgbench: Label
    rules: Label
    measured: date
    digest: Label
    packages: Mapping[Label, Foreign] = {}
    table: TruthTable

    @property
    def key(self) -> HostKey:
        """What its host is told from others by."""
        return host_key(self.table.host)


def read(path: Path) -> AtlasRow:
    """Read a row.

    Raises StoreError, which names the file, where it is damaged, was edited, is of a newer cgbench,
    or has the name of another row.
    """
    document = read_versioned(path, ATLAS, ADVICE)
    inside = document.pop("truth", None)
    if not isinstance(inside, dict):
        raise StoreError(f"{path}: not a row of the atlas: no truth table in it", DAMAGED)
    TRUTH.check(path, inside.get("schema_version"))
    table = truth.parsed(inside | {"schema_version": TRUTH.written}, path)
    try:
        row = AtlasRow.model_validate({**document, "table": table})
    except ValidationError as error:
        said = first_complaint(error)
        raise StoreError(f"{path}: not a row of the atlas: {said}", DAMAGED) from None
    if row.name != path.stem:
        raise StoreError(
            f"{path}: it is the row {row.name!r}, whose file is {row.name}.json", "Rename the file."
        )
    if row.digest != digest(inside):
        raise StoreError(
            f"{path}: its truth table is not the one that was measured: its digest is another",
            "Add the row anew from the table that `cgbench verify` wrote.",
        )
    return row


def is_row(path: Path) -> bool:
    """Say whether a file is a row and no truth table. Raises StoreError where it is neither."""
    # Their versions are numbered apart; either is read with its own afterwards.
    document = read_versioned(path, Versions(max(ATLAS.written, TRUTH.written)), truth.ADVICE)
    return "truth" in document


def to_text(row: AtlasRow) -> str:
    """Return a row as JSON.

    A diff shows each option and interaction by itself: they have a line each.
    """
    head = row.model_dump(mode="json", exclude={"table"})
    inside = _object(_truth_lines(row.table.to_json()), " ")
    return _object([*_members(head), f' "truth": {inside}']) + "\n"


def _truth_lines(inside: Mapping[str, Any]) -> Iterator[str]:
    for key, value in inside.items():
        if key in ("options", "interactions") and value:
            items = ",\n   ".join(map(_compact, value))
            yield f"  {_compact(key)}: [\n   {items}\n  ]"
        else:
            yield f"  {_compact(key)}: {_compact(value)}"


def _members(document: Mapping[str, Any]) -> Iterator[str]:
    for key, value in document.items():
        yield f" {_compact(key)}: {_compact(value)}"


def _object(members: Iterator[str] | list[str], before: str = "") -> str:
    return "{\n" + ",\n".join(members) + f"\n{before}}}"


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def digest(inside: Mapping[str, Any]) -> str:
    """Return the digest of a truth table's document, however it is spaced and ordered."""
    text = json.dumps(inside, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def made(
    table: TruthTable, *, name: str, title: str | None, rules: str, packages: Mapping[str, str]
) -> AtlasRow:
    """Return the row of a truth table; without a `title` it is the key of its host.

    Raises StoreError where the name or the title cannot be a row's.
    """
    if not _NAME.fullmatch(name):
        raise StoreError(
            f"{name!r} cannot name a row of the atlas",
            "Begin with a small letter; go on with small letters, digits and dashes, at most 60.",
        )
    try:
        measured = datetime.fromisoformat(table.started).date()
    except ValueError:
        raise StoreError(
            f"row {name}: {table.started!r} is no time to be measured at", DAMAGED
        ) from None
    try:
        return AtlasRow(
            name=name, title=title or host_key(table.host).line, cgbench=table.host.cgbench,
            rules=rules, measured=measured, digest=digest(table.to_json()), packages=packages,
            table=table,
        )  # fmt: skip
    except ValidationError as error:
        raise StoreError(f"row {name}: {first_complaint(error)}", "Give another --title.") from None


def write(row: AtlasRow, directory: Path) -> Path:
    """Write a row and return its path. Raises StoreError when it cannot be written."""
    return write_file(path_of(row.name, directory), to_text(row))


def path_of(name: str, directory: Path) -> Path:
    """Return where the row called `name` is kept."""
    return directory / f"{name}.json"


def paths(directory: Path) -> list[Path]:
    """Return the files of all rows in a directory, sorted by name."""
    return sorted(directory.glob("*.json"))


def shipped() -> Path:
    """Return the folder of the rows that came with this cgbench, in a wheel or a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / FOLDER
    return installed if installed.is_dir() else package.parent / "results" / FOLDER
