"""The truth table: what every option does on one host, as one document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cgbench.errors import StoreError
from cgbench.records.files import first_complaint, read_versioned
from cgbench.records.host import Host
from cgbench.records.idle_findings import (
    Attempt,
    BornVsChanged,
    Interaction,
    Lifting,
    StateFinding,
    Survival,
)
from cgbench.records.verdict import Outcome, Verdict
from cgbench.records.versions import DAMAGED, TRUTH
from cgbench.spec.fields import Foreign, Label
from cgbench.spec.metrics import METRICS
from cgbench.spec.model import Model
from cgbench.spec.options import OPTIONS

SIGNS = {
    Outcome.EFFECTIVE: "✓", Outcome.IMPRECISE: "~", Outcome.PARTIAL: "◐",
    Outcome.WRONG: "✗", Outcome.INEFFECTIVE: "✗", Outcome.IGNORED: "✗", Outcome.DISCARDED: "✗",
    Outcome.REJECTED: "!", Outcome.REVERTED: "✗",
    Outcome.UNSUPPORTED: "–", Outcome.INCONCLUSIVE: "?",
}  # fmt: skip
"""A sign for each verdict, which distinguishes it without colour."""

ADVICE = "Give a file that `cgbench verify` wrote."
"""What to do where a file is no truth table."""


def read(path: Path) -> TruthTable:
    """Read a truth table. Raises StoreError when the file is none, or too new."""
    return parsed(read_versioned(path, TRUTH, ADVICE), path)


def parsed(document: Mapping[str, Any], path: Path) -> TruthTable:
    """Return the truth table that a document of today's version is.

    Raises StoreError, which names `path`, when it is none.
    """
    try:
        table = TruthTable.from_json(document)
    except ValidationError as error:
        said = first_complaint(error)
        raise StoreError(f"{path}: not a truth table: {said}", DAMAGED) from None
    except (KeyError, TypeError, AttributeError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else "`options` holds no objects"
        raise StoreError(f"{path}: not a truth table: {what}", DAMAGED) from None
    for said in _unknown(table):
        raise StoreError(f"{path}: not a truth table: {said}", DAMAGED)
    return table


def _unknown(table: TruthTable) -> Iterator[str]:
    """Yield what the table names that no cgbench of its format knows."""
    seen: set[str] = set()
    for row in table.rows:
        one = row.verdict
        if one.option not in OPTIONS or one.option in seen:
            yield f"unknown or repeated option {one.option}"
        seen.add(one.option)
        for point in one.experienced:
            if point.metric not in METRICS:
                yield f"--{one.option}: unknown metric {point.metric}"
    for pair in table.interactions:
        for name in (pair.a, pair.b):
            if name not in OPTIONS:
                yield f"interactions: unknown option {name}"


class Row(Model):
    """Everything known of one option on one host.

    `survival` is that of the option's example, `further_survival` that of other values of it.
    `states` are updates of a container in each state, `liftings` updates that should lift its
    limit.
    """

    verdict: Verdict
    bounds: tuple[Attempt, ...] = ()
    born_vs_changed: tuple[BornVsChanged, ...] = ()
    survival: Survival | None = None
    further_survival: tuple[Survival, ...] = ()
    states: tuple[StateFinding, ...] = ()
    liftings: tuple[Lifting, ...] = ()

    @property
    def survivals(self) -> tuple[Survival, ...]:
        """What is known of every value whose survival was tried."""
        return (*(() if self.survival is None else (self.survival,)), *self.further_survival)

    @property
    def belied(self) -> tuple[StateFinding, ...]:
        """The states in which Docker says of an update what is not so."""
        return tuple(one for one in self.states if one.hollow or one.yet_changed)

    @property
    def fails(self) -> bool:
        """Whether what Docker says is not so: of a running container, or in another state."""
        return self.verdict.fails or bool(self.belied)

    def to_json(self) -> dict[str, Any]:
        """Return it as one flat object."""
        return self.verdict.model_dump(mode="json") | {
            "bounds": [one.model_dump(mode="json") for one in self.bounds],
            "born_vs_changed": [one.model_dump(mode="json") for one in self.born_vs_changed],
            "survival": None if self.survival is None else self.survival.model_dump(mode="json"),
            "further_survival": [one.model_dump(mode="json") for one in self.further_survival],
            "states": [one.model_dump(mode="json") for one in self.states],
            "liftings": [one.model_dump(mode="json") for one in self.liftings],
        }


class TruthTable(Model):
    """All rows of one host, in the registry's order, and what options do to one another.

    `unmeasured` says what else was to be measured, and why it was not.
    """

    schema_version: int = TRUTH.written
    host: Host
    started: Label
    elapsed_s: float
    rows: tuple[Row, ...]
    interactions: tuple[Interaction, ...] = ()
    unmeasured: tuple[Foreign, ...] = ()

    @property
    def not_in_force(self) -> tuple[str, ...]:
        """The options of which Docker says what is not so: set and not in force, or refused and
        changed all the same.
        """
        return tuple(row.verdict.option for row in self.rows if row.fails)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data: the format of `cgbench verify --json`."""
        return {
            "schema_version": self.schema_version,
            "host": self.host.model_dump(mode="json"),
            "started": self.started,
            "elapsed_s": self.elapsed_s,
            "options": [row.to_json() for row in self.rows],
            "interactions": [one.model_dump(mode="json") for one in self.interactions],
            "unmeasured": list(self.unmeasured),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TruthTable:
        """Read what `to_json` gave. Raises ValueError when it is no such document."""
        rows = []
        for entry in document["options"]:
            outside = {key: entry[key] for key in ("bounds", "born_vs_changed", "survival")}
            # Tables of an older cgbench have the example only, no states and no liftings.
            later = ("further_survival", "states", "liftings")
            outside |= {key: entry.get(key, ()) for key in later}
            inside = {key: value for key, value in entry.items() if key not in outside}
            rows.append({"verdict": inside, **outside})
        head = {key: document[key] for key in ("schema_version", "host", "started", "elapsed_s")}
        head |= {"interactions": document["interactions"]}
        head |= {"unmeasured": document.get("unmeasured", ())}
        return cls.model_validate({**head, "rows": rows})
