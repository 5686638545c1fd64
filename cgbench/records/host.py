"""The host that something was measured on, as it was then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from cgbench.spec.fields import Label, Name
from cgbench.spec.model import Model
from cgbench.units import parse_cpu_list


class Host(Model):
    """The host as it was when the run began; keys that must agree before runs are compared.

    `cpu_list` are the numbers of its `cpus`, as a cpuset lists them; None in an older run.
    `image_base` is the digest of the image's lowest layer there, and `image_packages` says which
    packages it has; None where that was not recorded. `program_images` are the identities of the
    images of the experiment's own programs, None where it has none.

    `docker` is the version of the `engine`, which is Docker or speaks its API, and `runc` that of
    the `runtime`. `systemd` is its number, `none` where the host runs without it. `io_control` is
    what can share out I/O: `bfq`, `io.cost`, both or `none`. All four are None in an older run, and
    so is `memory_nodes`, how many nodes of its memory there are.
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
    memory_nodes: Annotated[int, Field(ge=1, le=1024)] | None = None

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
