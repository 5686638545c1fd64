"""Where a faulty measurement takes place: disks, a group of memory and a clock of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SHM = Path("/dev/shm/cgbench")
RUN = Path("/run/cgbench")
GROUP = "faults-campaign"
STEP = "STEPPED_CLOCK"
"""The variable that names the file which says by how many seconds the clock of cgbench is off."""

_CLOCK = Path(__file__).with_name("stepped_clock.c")


@dataclass(frozen=True)
class Place:
    """How a command is started: behind which words, with what environment and results."""

    results: Path
    prefix: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    group: Path | None = None


@contextmanager
def ordinary(folder: Path) -> Iterator[Place]:
    """Nothing is special."""
    yield Place(folder / "results")


@contextmanager
def small_results(folder: Path) -> Iterator[Place]:
    """The results are on a disk with little more room than a run asks for."""
    with _mounted(folder / "disk", "size=80m"):
        yield Place(folder / "disk")


@contextmanager
def small_shm(folder: Path) -> Iterator[Place]:
    """What cgbench keeps in memory is on a small file system of its own, that Docker sees, too."""
    made = not SHM.exists()
    SHM.mkdir(mode=0o711, exist_ok=True)
    try:
        with _mounted(SHM, "size=16m,mode=711"):
            yield Place(folder / "results")
    finally:
        if made:
            with contextlib.suppress(FileNotFoundError):
                SHM.rmdir()


@contextmanager
def private_run(folder: Path) -> Iterator[Place]:
    """The leases of cgbench are on a small file system that nobody else sees."""
    made = not RUN.exists()
    RUN.mkdir(mode=0o755, exist_ok=True)
    mount = f'mount -t tmpfs -o size=64k,mode=755 tmpfs {RUN} && exec "$@"'
    prefix = ("unshare", "--mount", "--propagation", "private", "sh", "-c", mount, "sh")
    try:
        yield Place(folder / "results", prefix)
    finally:
        if made:
            with contextlib.suppress(FileNotFoundError):
                RUN.rmdir()


@contextmanager
def memory_group(folder: Path) -> Iterator[Place]:
    """It is alone in a group of the memory controller, below the campaign's own."""
    group = _own_group() / GROUP
    group.mkdir()
    enter = f'echo $$ > {group}/cgroup.procs && exec "$@"'
    try:
        yield Place(folder / "results", ("sh", "-c", enter, "sh"), group=group)
    finally:
        group.rmdir()


@contextmanager
def stepped_clock(folder: Path) -> Iterator[Place]:
    """Its wall clock is off by what a file says; its other clocks are the host's."""
    library, step = folder / "stepped_clock.so", folder / "seconds"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", library, _CLOCK], check=True)
    step.write_text("0\n")
    preloaded = {"LD_PRELOAD": str(library), STEP: str(step)}
    yield Place(folder / "results", environment=preloaded)


def fill(folder: Path) -> Path:
    """Fill the file system that a folder is on to its last byte; return the file that does."""
    if os.statvfs(folder).f_blocks * os.statvfs(folder).f_frsize > 2**28:
        raise RuntimeError(f"{folder} is no small file system of the campaign's")
    filler = folder / "filler"
    block = bytes(2**12)
    with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
        while file.write(block):
            pass
    return filler


def _own_group() -> Path:
    """Return this process's group in the memory controller's tree."""
    top = Path("/sys/fs/cgroup")
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return top / "memory" / path.lstrip("/")
        if not controllers and (top / "cgroup.controllers").exists():
            return top / path.lstrip("/")
    raise RuntimeError("there is no memory controller")


@contextmanager
def _mounted(where: Path, options: str) -> Iterator[None]:
    where.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(where)], check=True)
