"""What one trial and one run leave behind: names, units and the version of the schema.

Times called `*_ns` are CLOCK_MONOTONIC nanoseconds of the host, which its containers share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from cgbench.records.host import Host
from cgbench.records.versions import RUN
from cgbench.spec.experiment import Experiment
from cgbench.spec.fields import Foreign, ImageName, Label, Name, RunName
from cgbench.spec.model import Model
from cgbench.spec.schedule import labelled

Status = Literal["running", "finished", "interrupted"]
"""How far a run came."""

Purpose = Literal["run", "verify", "gate", "A of ab", "B of ab", "tune"]
"""The command that a run was measured by, and for `ab` the side of it."""


class RunRecord(Model):
    """run.json: the whole experiment, where and how it ran, and how far it came.

    Its version is that of the whole directory, the lines of trials.jsonl among it. `owner` is the
    process that measures while it is `running`: boot, PID namespace, PID, start in clock ticks.
    `purpose` is None in a run of an older cgbench. `beside` is what disturbed it all the time.
    """

    schema_version: int = RUN.written
    run: RunName
    experiment: Experiment
    quick: bool
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    trials_planned: Annotated[int, Field(ge=0, lt=2**63)]
    image: ImageName
    host: Host
    preconditions: Mapping[Name, bool]
    status: Status
    started: Label
    ended: Label | None = None
    elapsed_s: float | None = None
    owner: str | None = None
    purpose: Purpose | None = None
    beside: Foreign | None = None

    @property
    def for_itself(self) -> bool:
        """Whether it stands for the host, as far as is known, and not for one side of a question.

        What `verify`, `gate`, `ab` and `tune` measure is shorter, grows until it is certain, or was
        made to differ.
        """
        return self.purpose in (None, "run")


class PointKey(NamedTuple):
    """What a point is known by: container, option, way of setting, value, and the value's note."""

    role: str
    option: str
    via: str
    requested: str
    note: str | None = None

    @property
    def label(self) -> str:
        """The value asked for, with its note."""
        return labelled(self.requested, self.note)


class Row(NamedTuple):
    """One row of phases.parquet: a metric of one container in one phase of one trial.

    A tuple, since a run has a hundred thousand of them.
    """

    experiment: str
    trial: int
    phase: int
    role: str
    option: str
    via: str
    requested: str
    note: str | None
    effective: str | None
    metric: str
    unit: str
    expected: float | None
    value: float
    error_pct: float | None
    n_samples: int

    @property
    def key(self) -> PointKey:
        """The point that the row belongs to."""
        return PointKey(self.role, self.option, self.via, self.requested, self.note)


PHASE_COLUMNS = Row._fields
"""The columns of phases.parquet, whose rows are `Row`."""
