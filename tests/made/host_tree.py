"""A made-up host in a temporary directory: its /proc, /sys, /dev, /run and /var/tmp."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path

BOOT = "4a5ff6c2-0000-4000-8000-000000000000"
ROOT_DEVICE = "254:0"

_HYBRID = f"""\
23 1 {ROOT_DEVICE} / / rw,relatime - ext4 /dev/root rw
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
_V2 = f"""\
23 1 {ROOT_DEVICE} / / rw,relatime - ext4 /dev/root rw
34 24 0:29 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate
"""
_SWAPS = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

HYBRID_PLACES = ("cpu", "memory", "systemd", "unified")


@dataclass(frozen=True)
class HostTree:
    """The made-up host; `root` goes where the real one would be `/`."""

    root: Path

    def write(self, path: str, text: str) -> Path:
        """Write a file, with the directories above it."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def process(self, pid: int, started: int, state: str = "S", name: str = "sleep") -> None:
        """Let a process run, or be a zombie (`Z`)."""
        fields = [state, *["0"] * 18, str(started), *["0"] * 30]
        self.write(f"proc/{pid}/stat", f"{pid} ({name}) {' '.join(fields)}\n")

    def memory(self, total: int, available: int, swap_free: int = 0) -> None:
        """Set /proc/meminfo, in bytes."""
        lines = {"MemTotal": total, "MemAvailable": available, "SwapFree": swap_free}
        text = "".join(f"{name}:  {size // 1024} kB\n" for name, size in lines.items())
        self.write("proc/meminfo", f"{text}HugePages_Total:       0\n")

    def loop(self, name: str, backing: str, scheduler: str = "[none] bfq") -> None:
        """Attach a file to a loop device, as sysfs shows it."""
        self.write(f"sys/block/{name}/loop/backing_file", f"{backing}\n")
        self.write(f"sys/block/{name}/loop/dio", "1\n")
        self.write(f"sys/block/{name}/dev", f"7:{name.removeprefix('loop')}\n")
        self.write(f"sys/block/{name}/queue/scheduler", f"{scheduler}\n")
        self.write(f"dev/{name}", "")

    def zram(self, name: str, disksize: int = 0, mark: str | None = None) -> None:
        """Let there be a zram device; `mark` is the UUID of the swap that was made on it."""
        self.write(f"sys/block/{name}/disksize", f"{disksize}\n")
        header = bytearray(4096)
        if mark is not None:
            header[1036:1052] = uuid.UUID(mark).bytes
        self.write(f"dev/{name}", "").write_bytes(bytes(header) if disksize else b"")

    def swaps(self, *lines: str) -> None:
        """Set the lines of /proc/swaps."""
        self.write("proc/swaps", _SWAPS + "".join(f"{line}\n" for line in lines))

    def group(self, path: str, processes: str = "") -> None:
        """Let a cgroup exist in every hierarchy of a hybrid host."""
        for place in HYBRID_PLACES:
            self.write(f"sys/fs/cgroup/{place}/{path}/cgroup.procs", processes)


def hybrid(root: Path) -> HostTree:
    """Return a host with v1 hierarchies and an empty v2 one, nothing lent, this process running."""
    tree = HostTree(root)
    tree.write("proc/self/mountinfo", _HYBRID)
    tree.write("proc/sys/kernel/random/boot_id", f"{BOOT}\n")
    tree.process(os.getpid(), 4711, name="cg) bench (")
    tree.memory(total=100 * 2**20, available=80 * 2**20)
    tree.swaps()
    for place in HYBRID_PLACES:
        (root / "sys/fs/cgroup" / place).mkdir(parents=True)
    (root / "var/tmp").mkdir(parents=True)
    (root / "run").mkdir()
    return tree


def v2(root: Path) -> HostTree:
    """Return a host with nothing but v2, whose first level has the memory controller."""
    tree = hybrid(root)
    tree.write("proc/self/mountinfo", _V2)
    return tree
