"""What one trial and one run leave behind: names, units and the version of the schema.

Times called `*_ns` are CLOCK_MONOTONIC nanoseconds of the host, which its containers share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from cgbench.records.versions import RUN
from cgbench.spec.experiment import Experiment
from cgbench.spec.fields import Foreign, ImageName, Label, Name, RunName
from cgbench.spec.model import Model
from cgbench.spec.schedule import labelled
from cgbench.units import parse_cpu_list


class Host(Model):
    """The host as it was when the run began; keys that must agree before runs are compared.

    `cpu_list` are the numbers of its `cpus`, as a cpuset lists them; None in an older run.
    `image_base` is the digest of the image's lowest layer there, and `image_packages` says which
    packages it has; None where that was not recorded. `program_images` are the identities of the
    images of the experiment's own programs, None where it has none.

    `docker` is the version of the `engine`, which is Docker or speaks its API, and `runc` that of
    the `runtime`. `systemd` is its number, `none` where the host runs without it. `io_control` is
    what can share out I/O: `bfq`, `io.cost`, both or `none`. All four are None in an older run.
    """

    hostname: Label
    kernel: Label
    os: Label
    cpu_model: Label
    cpus: Annotated[int, Field(ge=1, le=8192)]
    cpu_list: str | None = None
    page_bytes: Annotated[int, Field(ge=1, le=2**30)] = 4096
    memory_bytes: Annotated[int, Field(ge=0, lt=2**63)]
    swap_bytes: Annotated[int, Field(ge=0, lt=2**63)]
    cgroup: Literal["v1", "v2", "hybrid"]
    cgroup_driver: Label
    docker: Label
    docker_api: Label
    runc: Label
    storage_driver: Label
    timer_hz: Annotated[int, Field(ge=1, le=10**6)] | None
    clock: Label
    python: Label
    cgbench: Label
    image_base: str | None = None
    image_packages: str | None = None
    program_images: Mapping[Name, Label] | None = None
    engine: Label | None = None
    runtime: Label | None = None
    systemd: Label | None = None
    io_control: Label | None = None

    @property
    def engine_words(self) -> str:
        """Its engine with its version; an older run has no name of it, and was Docker's."""
        return f"{(self.engine or 'docker').capitalize()} {self.docker}"

    @property
    def runtime_words(self) -> str:
        """What starts its containers, with its version."""
        return f"{self.runtime or 'runc'} {self.runc}"

    @property
    def programs_words(self) -> str | None:
        """The identities of the images of programs, as text."""
        found = (self.program_images or {}).items()
        return ", ".join(f"{name} {identity}" for name, identity in sorted(found)) or None

    @property
    def cpu_numbers(self) -> tuple[int, ...]:
        """The numbers of its CPUs; from 0 on in a run that did not record them."""
        return tuple(range(self.cpus)) if self.cpu_list is None else parse_cpu_list(self.cpu_list)

    @property
    def emulated(self) -> bool:
        """Whether its CPUs are: QEMU without KVM names them after its Tiny Code Generator."""
        return "TCG" in self.cpu_model


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
