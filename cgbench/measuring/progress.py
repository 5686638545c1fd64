"""Whoever looks on while a run goes on, and what is shown to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cgbench.records.run import RunRecord
from cgbench.records.trial import TrialRecord
from cgbench.spec.schedule import PlannedStep, TrialPlan


@dataclass(frozen=True)
class Snapshot:
    """How one container does right now, for the eyes: CPUs used and throttled periods lately.

    None is what was not read, or not yet twice.
    """

    role: str
    cpus: float | None
    throttled_pct: float | None
    memory_bytes: int | None


class Watcher(Protocol):
    """Whoever looks on while a trial runs; it must be quick and is called twice a second."""

    def phase_started(self, step: PlannedStep, number: int, total: int) -> None:
        """A change was made and its phase begins."""

    def snapshot(self, snapshots: Sequence[Snapshot]) -> None:
        """The containers as they are now."""

    def waiting(self, why: str) -> None:
        """Docker does not answer, and is waited for."""


class Observer(Watcher, Protocol):
    """Whoever looks on while a run goes on."""

    def run_started(self, record: RunRecord, plans: list[TrialPlan], done: int) -> None:
        """The run begins, or goes on with `done` trials finished before."""

    def trial_started(self, plan: TrialPlan) -> None:
        """A trial begins."""

    def trial_finished(self, record: TrialRecord) -> None:
        """A trial ended, well or not, and is on disk."""


class Silent:
    """Shows nothing."""

    def run_started(self, record: RunRecord, plans: list[TrialPlan], done: int) -> None:
        """Do nothing."""

    def trial_started(self, plan: TrialPlan) -> None:
        """Do nothing."""

    def trial_finished(self, record: TrialRecord) -> None:
        """Do nothing."""

    def phase_started(self, step: PlannedStep, number: int, total: int) -> None:
        """Do nothing."""

    def snapshot(self, snapshots: Sequence[Snapshot]) -> None:
        """Do nothing."""

    def waiting(self, why: str) -> None:
        """Do nothing."""
