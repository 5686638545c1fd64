"""What one trial is going to do: its changes and hold times, worked out for one host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from cgbench.spec.model import Model
from cgbench.spec.option import Value

Scheduler = Literal["bfq", "mq-deadline", "kyber", "none"]
"""The kernel's I/O schedulers for multi-queue devices."""

Via = Literal["update", "run", "cgroupfs"]
"""How a value is set: `docker update`, born with it by `docker run`, or the file written."""


def labelled(requested: str, note: str | None) -> str:
    """Return a requested value with the note that tells it from others, if any: `512 (joins)`."""
    return f"{requested} ({note})" if note else requested


class PlannedStep(Model):
    """One change and its hold: `settings` are set together, `option` is the one judged.

    `note` tells it from other steps with the same value.
    """

    role: str
    option: str
    requested: str
    note: str | None = None
    settings: Mapping[str, Value]
    via: Via
    hold_ns: int
    rewrite_ns: int | None = None
    may_end: bool = False
    prepares: bool = False
    scheduler: str | None = None

    @property
    def label(self) -> str:
        """The value asked for, with its note."""
        return labelled(self.requested, self.note)


class TrialPlan(Model):
    """One life of the containers: `walk` tells apart the plans of one repetition, from 1."""

    number: int
    repetition: int
    walk: int
    steps: tuple[PlannedStep, ...]

    @property
    def hold_ns(self) -> int:
        """The sum of its hold times."""
        return sum(step.hold_ns for step in self.steps)
