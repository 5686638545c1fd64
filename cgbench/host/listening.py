"""Which TCP ports the processes of a network namespace listen on, by the kernel's own tables."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_LISTEN = "0A"
_TABLES = ("tcp", "tcp6")


class Listener(NamedTuple):
    """One address and port that somebody listens on."""

    address: str
    port: int

    def __str__(self) -> str:
        brackets = ":" in self.address
        return f"[{self.address}]:{self.port}" if brackets else f"{self.address}:{self.port}"


def listeners(pid: int, proc: Path = Path("/proc")) -> list[Listener]:
    """Return who listens in the network namespace of a process, by port; none if it has ended.

    Source: proc(5), /proc/pid/net/tcp and tcp6.
    """
    found: set[Listener] = set()
    for table in _TABLES:
        try:
            text = (proc / str(pid) / "net" / table).read_text()
        except OSError:
            # Ended meanwhile, or a kernel without IPv6.
            continue
        found.update(parsed(text))
    return sorted(found, key=lambda one: (one.port, one.address))


def parsed(text: str) -> Iterator[Listener]:
    """Yield who listens, of a table as the kernel writes it; lines that are none are left out."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 4 or fields[3] != _LISTEN:
            continue
        address, _, port = fields[1].partition(":")
        try:
            yield Listener(_address(address), int(port, 16))
        except ValueError:
            continue


def _address(digits: str) -> str:
    """Return an address whose 32-bit words the kernel wrote as this machine has them in memory."""
    raw = bytes.fromhex(digits)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    return str(ipaddress.ip_address(raw))
