"""A fleet that was measured: read again, judged, and shown on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cgbench.errors import StoreError
from cgbench.judging import run as run_of
from cgbench.judging.fleet import Standing, of_audits, of_gates, of_tables
from cgbench.judging.fleet_points import of_runs, points
from cgbench.judging.run import Run
from cgbench.records.audit import Audit
from cgbench.records.comparison import Comparison
from cgbench.records.fleet import FleetFolder, FleetRecord, State
from cgbench.records.truth import TruthTable


@dataclass(frozen=True)
class Judged:
    """A fleet that was read again: its document, its standing, and what could not be read of it."""

    record: FleetRecord
    standing: Standing
    tables: Mapping[str, TruthTable]
    audits: Mapping[str, Audit]
    runs: Mapping[str, Sequence[Run]]
    gates: Mapping[str, Sequence[Comparison]]

    @property
    def worst(self) -> int:
        """The exit status of the worst host: 2 where one gave nothing, then 1, then 3."""
        if any(not one.measured for one in self.record.members):
            return 2
        found = {one.status for one in self.record.members}
        return next((status for status in (1, 3) if status in found), 0)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data: what `cgbench fleet --json` gives."""
        return {
            **self.record.model_dump(mode="json"),
            "exit_status": self.worst,
            "groups": [
                {
                    "key": group.key.model_dump(mode="json"),
                    "hosts": list(group.hosts),
                    "usual": {option: found.value for option, found in group.usual.items()},
                    "left_open": dict(group.left_open),
                    "splits": [asdict(one) for one in group.splits],
                }
                for group in self.standing.groups
            ],
            "departures": [asdict(one) for one in self.standing.departures],
            "splits": [asdict(one) for one in self.standing.splits],
        }


def judged(folder: FleetFolder) -> Judged:
    """Read what the hosts of a fleet gave, and find who is unlike its group.

    A host whose document cannot be read counts as one that failed. Raises StoreError where the
    fleet itself cannot be read.
    """
    record = folder.read()
    tables: dict[str, TruthTable] = {}
    audits: dict[str, Audit] = {}
    gates: dict[str, list[Comparison]] = {}
    runs: dict[str, list[Run]] = {}
    for member in record.members:
        if not member.measured:
            continue
        try:
            if record.command == "verify":
                tables[member.name] = folder.truth(member.name)
            elif record.command == "audit":
                audits[member.name] = folder.audit(member.name)
            elif record.command == "gate":
                gates[member.name] = folder.comparisons(member.name)
            else:
                runs[member.name] = [run_of.load(one) for one in folder.runs(member.name)]
                for one in runs[member.name]:
                    one.every_row  # noqa: B018
        except StoreError as error:
            failed = {"state": State.FAILED, "reason": error.message}
            record = record.with_member(member.model_copy(update=failed))
            runs.pop(member.name, None)
    there = [one for one in record.members if one.measured]
    hosts = {one.name: one.host for one in there if one.host is not None}
    tags = {one.name: one.tags for one in there}
    if record.command == "verify":
        standing = of_tables(tables, tags)
    elif record.command == "audit":
        standing = of_audits(audits, hosts, tags)
    elif record.command == "gate":
        standing = of_gates(gates, hosts, tags)
    else:
        standing = of_runs(runs, hosts, tags)
    return Judged(record, standing, tables, audits, runs, gates)


def write_page(found: Judged, output: Path) -> Path:
    """Write the page of a fleet, and return its path. Raises StoreError when that fails."""
    # Here and not above: measuring needs none of what draws.
    from cgbench.reporting.render import write_fleet

    return write_fleet(
        found.record, found.standing, output, tables=found.tables, audits=found.audits,
        points=points(found.runs), gates=found.gates,
    )  # fmt: skip
