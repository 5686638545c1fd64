"""By what the hosts of an atlas are told apart: what may change what a limit does."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cgbench.records.host import Host
from cgbench.spec.model import Model

_RELEASE = re.compile(r"\d+\.\d+")
# Debian's and Ubuntu's marks behind a version: of the packaging, not of the program.
_PACKAGING = re.compile(r"[+~-].*")


@dataclass(frozen=True)
class Part:
    """One part of a host key, as a field of `HostKey`, and what a reader calls it."""

    name: str
    words: str


PARTS = (
    Part("kernel", "kernel"),
    Part("layout", "cgroup"),
    Part("driver", "cgroup driver"),
    Part("engine", "engine"),
    Part("runtime", "runtime"),
    Part("systemd", "systemd"),
    Part("io_control", "I/O control"),
    Part("memory_nodes", "memory nodes"),
    Part("emulated", "CPU"),
)
"""Every part, in the order in which a page shows them."""


class HostKey(Model):
    """The facts about a host that verdicts may depend on; None is what was not recorded.

    CPUs and memory are none of them: limits count in both. Emulated CPUs are, since they are slow,
    and so are memory nodes: of one nobody can be kept away. A run that did not record them is
    taken for one on a single node; its verdict on `--cpuset-mems` says so itself.
    """

    kernel: str
    layout: str
    driver: str
    engine: str | None
    runtime: str | None
    systemd: str | None
    io_control: str | None
    memory_nodes: int
    emulated: bool

    def words(self, part: str) -> str:
        """Return a part as a reader is shown it; what was not recorded is empty."""
        value = getattr(self, part)
        if part == "emulated":
            return "emulated" if value else "real"
        return "" if value is None else str(value)

    @property
    def line(self) -> str:
        """The whole key in one line."""
        forms = {
            "kernel": "kernel {}", "layout": "cgroup {}", "driver": "{} driver",
            "systemd": "systemd {}", "io_control": "I/O control {}", "emulated": "{} CPU",
            "memory_nodes": "{} memory nodes",
        }  # fmt: skip
        absent = {"systemd": "no systemd", "io_control": "no I/O control"}
        known = [
            (part.name, self.words(part.name))
            for part in PARTS
            # One is what nearly every host has.
            if part.name != "memory_nodes" or self.memory_nodes > 1
        ]
        return ", ".join(
            absent.get(name, "") if words == "none" else forms.get(name, "{}").format(words)
            for name, words in known
            if words
        )

    def differing(self, other: HostKey) -> tuple[str, ...]:
        """Return the parts in which two keys are not known to be the same."""
        return tuple(
            part.name
            for part in PARTS
            if getattr(self, part.name) is None
            or getattr(self, part.name) != getattr(other, part.name)
        )


def host_key(host: Host) -> HostKey:
    """Return the key of a host."""
    release = _RELEASE.match(host.kernel)
    return HostKey(
        kernel=host.kernel if release is None else release[0],
        layout=host.cgroup,
        driver=host.cgroup_driver,
        engine=_named(host.engine, host.docker),
        runtime=_named(host.runtime, host.runc),
        systemd=host.systemd,
        io_control=host.io_control,
        memory_nodes=host.memory_nodes or 1,
        emulated=host.emulated,
    )


def age(words: str) -> tuple[str, list[int], str]:
    """Return what sorts the words of a part: by name, then by the numbers of the version."""
    name, _, version = words.rpartition(" ")
    return name, [int(number) for number in re.findall(r"\d+", version)], words


def _named(name: str | None, version: str) -> str | None:
    """Return a program with its version; None where its name was not recorded."""
    return None if name is None else f"{name} {_PACKAGING.sub('', version)}"
