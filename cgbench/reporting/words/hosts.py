"""Names of hosts that are shown side by side, and which of their figures not to compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cgbench.records.host import Host


def names(hosts: Sequence[Host]) -> list[str]:
    """Return a name per host, all different: the hostname, plus what distinguishes the host."""
    asides: tuple[Callable[[Host], str], ...] = (
        lambda host: host.hostname,
        lambda host: f"{host.hostname} ({host.cgroup})",
        lambda host: f"{host.hostname} ({host.cgroup}, {host.kernel})",
    )
    for named in asides:
        found = [named(host) for host in hosts]
        if len(set(found)) == len(found):
            return found
    return [f"{host.hostname} ({number})" for number, host in enumerate(hosts, 1)]


def described(name: str, host: Host) -> str:
    """Return a legend's entry: the name, the kernel and the cgroup version."""
    layout = f"cgroup {host.cgroup}"
    # A name may contain the layout already.
    parts = [name, f"kernel {host.kernel}"] + [layout] * (f"({host.cgroup}" not in name)
    return ", ".join(parts)


def caveat(host: Host) -> str | None:
    """Return which of a host's figures must not be compared with another's; None if all may be."""
    if not host.emulated:
        return None
    return (
        "its CPU is emulated, so its times and stalls say nothing about its kernel or Docker; "
        "limits and shares may be compared"
    )
