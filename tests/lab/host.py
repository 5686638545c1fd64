"""A host of the lab as data: hosts/NAME.toml says what is booted, and what is changed in it."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from cgbench.spec.fields import Label, Name, Title
from cgbench.spec.model import Model

FOLDER = Path(__file__).parent / "hosts"
DEFAULT = "trixie"
BOOT = (
    "root=/dev/vda", "rw", "console=ttyS0", "mitigations=off", "panic=-1",
    # cmpxchg16b: QEMU 7.2 loses its flags now and then, met as a double fault in kmem_cache_alloc.
    "clearcpuid=141",
)  # fmt: skip
"""The parameters that each guest's kernel gets."""
MEMORY_MIB = 3072
"""The memory of each guest."""


class LabError(Exception):
    """The lab cannot do it; the message says why and what to do."""


class Pin(Model):
    """A package of another suite than the host's own; the newest there without a `version`."""

    suite: Name
    package: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+~:-]*$")] | None = None

    @property
    def wanted(self) -> str:
        """The package as apt-get takes it."""
        return self.package if self.version is None else f"{self.package}={self.version}"


class LabHost(Model):
    """One host: those of one `suite` and `engine` share a disk; what else they say is done at boot.

    `boot` are further parameters of the kernel, `daemon` is Docker's daemon.json, and `pins` are
    packages that are put into the guest before its daemon is started anew. `python` is the version
    of the guest's own, `nodes` how many nodes its memory and CPUs are shared out to. A `late_cpu`
    is switched on after the boot: kernels before 6.5 wait for it in a way that a clock that counts
    instructions makes endless.
    """

    name: Name
    title: Title
    suite: Name
    python: Annotated[str, Field(pattern=r"^3\.\d{2}$")]
    engine: Literal["docker", "podman"] = "docker"
    nodes: Literal[1, 2] = 1
    late_cpu: bool = False
    boot: tuple[Label, ...] = ()
    daemon: Mapping[str, Any] = {}
    pins: tuple[Pin, ...] = ()

    @property
    def parameters(self) -> str:
        """The command line of its kernel."""
        return " ".join((*BOOT, *self.boot, *(("maxcpus=1",) if self.late_cpu else ())))

    @property
    def unchanged(self) -> LabHost:
        """The host whose disk it shares, with nothing done to it at boot."""
        return LabHost(
            name=self.name, title=self.title, suite=self.suite, python=self.python,
            engine=self.engine,
        )  # fmt: skip

    @property
    def nodes_given(self) -> tuple[str, ...]:
        """What gives QEMU the guest's CPUs and memory, and each node a socket and half of that."""
        found = ["-smp", f"2,sockets={self.nodes}", "-m", str(MEMORY_MIB)]
        for node in range(self.nodes) if self.nodes > 1 else ():
            size = f"{MEMORY_MIB // self.nodes}M"
            found += ["-object", f"memory-backend-ram,id=node{node},size={size}"]
            found += ["-numa", f"node,nodeid={node},cpus={node},memdev=node{node}"]
        return tuple(found)

    @property
    def is_changed(self) -> bool:
        """Whether its daemon has to start anew after the boot."""
        return bool(self.daemon or self.pins or self.late_cpu)

    @property
    def commands(self) -> tuple[str, ...]:
        """What is done in the guest once Docker answers, as root."""
        found = []
        if self.late_cpu:
            found.append("echo 1 >/sys/devices/system/cpu/cpu1/online")
        if self.pins:
            found.append("dpkg --install --force-confold /carried/pinned/*.deb")
        if self.daemon:
            text = json.dumps(dict(self.daemon))
            found.append(f"mkdir -p /etc/docker && echo '{text}' >/etc/docker/daemon.json")
        if self.is_changed:
            found.append(f"systemctl restart {self.engine}")
        return tuple(found)


def names(folder: Path = FOLDER) -> list[str]:
    """Return the names of all hosts, the default one first."""
    return sorted((path.stem for path in folder.glob("*.toml")), key=lambda one: one != DEFAULT)


def load(name: str, folder: Path = FOLDER) -> LabHost:
    """Return the host called `name`. Raises LabError where there is none, or its file is odd."""
    path = folder / f"{name}.toml"
    known = names(folder)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        advice = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        raise LabError(f"no host of the lab is called {name}: {advice}")
    try:
        found = tomllib.loads(path.read_text())
        host = LabHost.model_validate({"name": name, **found})
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        said = re.sub(r"\s+", " ", str(error))
        raise LabError(f"{path}: {said}") from None
    if "'" in json.dumps(dict(host.daemon)):
        raise LabError(f"{path}: daemon: no ' can be written into daemon.json")
    if host.daemon and host.engine != "docker":
        raise LabError(f"{path}: daemon: it is Docker's, and {host.engine} reads none")
    return host
