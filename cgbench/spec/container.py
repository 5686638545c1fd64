"""One container of an experiment, as its file states it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from cgbench.spec.fields import (
    MOST_MEMORY,
    Memory,
    Name,
    Pause,
    Size,
    Whole,
    bare_names,
    says,
)
from cgbench.spec.model import Model
from cgbench.spec.option import Value


class Container(Model):
    """One container of an experiment."""

    role: Annotated[Name, says("What steps and reports call it.", "worker")]
    workload: Annotated[
        Name, says("The program in it: one of `workloads/`, or of the table `programs`.", "spin")
    ]
    workers: Annotated[Whole, Field(ge=1, le=256), says("How many workers the program has.", 2)] = 1
    memory: Annotated[
        Size,
        Field(ge=6 * 2**20, le=MOST_MEMORY),
        says("A cap for the host's safety, part of no measurement.", "256m"),
    ] = 256 * 2**20
    pids: Annotated[
        Whole, Field(ge=4, le=4096), says("Such a cap on the number of its tasks.", 64)
    ] = 64
    size: Annotated[
        Memory, says("How many bytes a memory workload goes through, or wants.", "96m")
    ] = 0
    count: Annotated[
        Whole,
        Field(ge=0, le=4096),
        says("How many tasks a forking workload wants; the exit status of `end`.", 40),
    ] = 0
    pace: Annotated[
        Pause | None, says("The time between a workload's attempts, chunks or wake-ups.", "10ms")
    ] = None
    group: Annotated[
        bool,
        Field(strict=True),
        says("Whether it lies below a parent cgroup that caps the memory of all such.", True),
    ] = False
    shares: Annotated[
        Name | None, says("Which container before it has the /dev/shm that it shares.", "owner")
    ] = None
    drives: Annotated[
        Name | None, says("Which container before it a prober puts the load on.", "web")
    ] = None
    options: Annotated[
        Mapping[str, Value],
        AfterValidator(bare_names),
        says("Options that it is born with, which may replace its caps.", {"cpuset-cpus": "0"}),
    ] = Field(default_factory=dict)

    @property
    def charged(self) -> int:
        """How many of the bytes that its workload goes through it is charged for, and no other."""
        return 0 if self.shares else self.size
