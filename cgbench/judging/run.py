"""A stored run, loaded once: its records, its rows, and its trials' samples."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from cgbench.errors import StoreError
from cgbench.judging import container_data, rows
from cgbench.judging.bands import Bands
from cgbench.judging.rows import Measured
from cgbench.judging.summary import Entry, summary
from cgbench.records.files import WHOLE
from cgbench.records.plausible import complaint, most_rows
from cgbench.records.run import PointKey, Row, RunRecord
from cgbench.records.run_directory import RunDirectory
from cgbench.records.trial import TrialRecord
from cgbench.records.versions import DAMAGED

Look = Callable[[TrialRecord, Measured], None]
"""A function that gets each trial with its samples."""


@dataclass(frozen=True, eq=False)
class Run:
    """One run as stored in its files; `trials` holds the last record of each, by number.

    A resumed run may hold an earlier failure of a trial. Large files are read at first use.
    """

    directory: RunDirectory
    record: RunRecord
    trials: tuple[TrialRecord, ...]

    @property
    def name(self) -> str:
        """The run's name, which is its directory's."""
        return self.directory.path.name

    @property
    def finished(self) -> list[TrialRecord]:
        """The trials that were measured completely."""
        return [trial for trial in self.trials if trial.status == "ok"]

    @property
    def failed(self) -> list[TrialRecord]:
        """The trials that failed."""
        return [trial for trial in self.trials if trial.status == "failed"]

    @cached_property
    def every_row(self) -> tuple[Row, ...]:
        """The rows of phases.parquet, computed anew where it lacks a finished trial."""
        return self.stored if self.stored is not None else self._computed(lambda *_: None)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The rows by which points are judged: of each point those of its owner's phases alone."""
        changed = {
            (trial.number, phase.number): phase.role
            for trial in self.finished
            for phase in trial.phases
        }
        return tuple(
            row
            for row in self.every_row
            if (owner := changed.get((row.trial, row.phase))) is None
            or self.owners.get(row.key, owner) == owner
        )

    @cached_property
    def owners(self) -> Mapping[PointKey, str]:
        """The container in whose phases each point is measured.

        A container's value may be that of another, too, and another may have had it first: then its
        own phases count, or else those of the first.
        """
        found: dict[PointKey, str] = {}
        for trial in self.finished:
            for phase in trial.phases:
                found[phase.point()] = phase.role
        for trial in self.finished:
            for phase in trial.phases:
                for one in trial.containers:
                    found.setdefault(phase.point(one.role), phase.role)
        return found

    @cached_property
    def stored(self) -> tuple[Row, ...] | None:
        """The rows as they are stored, None where those of a finished trial are missing.

        Rows that another version computed by other rules count as missing.
        """
        found = self.directory.phases()
        finished = {trial.number: trial for trial in self.finished}
        if found is None or {row.trial for row in found} != set(finished):
            return None
        path = self.directory.path / "phases.parquet"
        unknown = {row.role for row in found} - {
            one.role for one in self.record.experiment.containers
        }
        if unknown:
            raise StoreError(f"{path}: the experiment has no container {min(unknown)}", DAMAGED)
        phases = {trial.number: {one.number for one in trial.phases} for trial in self.finished}
        for row in found:
            if phases[row.trial] and row.phase not in phases[row.trial]:
                raise StoreError(f"{path}: trial {row.trial} has no phase {row.phase}", DAMAGED)
        return tuple(found)

    @cached_property
    def summary(self) -> tuple[Entry, ...]:
        """Every metric at every point, across trials."""
        return summary(self.rows, Bands(self.record, self.finished))

    def keep_rows(self) -> None:
        """Write phases.parquet. Raises StoreError where it cannot be written."""
        self.directory.write_phases(self.every_row)

    def look_at_each(self, look: Look, only: Collection[str]) -> None:
        """Call `look` with each finished trial and its samples, of the counters in `only`.

        One trial is in memory at a time. Rows that are not stored are computed in the same pass,
        so each file is read once.
        """
        if self.stored is None and "every_row" not in vars(self):
            # Kept where cached_property keeps it.
            vars(self)["every_row"] = self._computed(look)
            return
        for trial in self.finished:
            look(trial, _read(self, trial, only))

    def _computed(self, look: Look) -> tuple[Row, ...]:
        found: list[Row] = []
        for trial in self.finished:
            found += self._looked_at(trial, look)
        return tuple(found)

    def _looked_at(self, trial: TrialRecord, look: Look) -> list[Row]:
        data = _read(self, trial)
        look(trial, data)
        return list(rows.of_trial(self.record, trial, data))


def load(directory: RunDirectory) -> Run:
    """Load a run. Raises StoreError when one of its files is missing, malformed or too new."""
    record = directory.run()
    latest = {trial.number: trial for trial in directory.trials()}
    lines = directory.path / "trials.jsonl"
    if record.status == "finished" and record.trials_planned and not lines.exists():
        raise StoreError(f"{lines} is missing", WHOLE)
    for number, trial in latest.items():
        problem = complaint(record, trial)
        if problem is not None:
            raise StoreError(f"{lines}: trial {number}: {problem}", DAMAGED)
    return Run(directory, record, tuple(latest[number] for number in sorted(latest)))


def _read(run: Run, trial: TrialRecord, only: Collection[str] | None = None) -> Measured:
    with run.directory.tables(trial.number, most_rows(run.record, trial)) as tables:
        return {one.role: container_data.load(tables, one, only) for one in trial.containers}
