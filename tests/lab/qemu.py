"""QEMU: what a guest of the lab is started with, and the programs that it takes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab.host import LabError, LabHost

OVERLAY, PID, CONSOLE = "overlay.qcow2", "qemu.pid", "console.log"
SCRATCH, SWAP, CARRIED = "scratch.img", "swap.img", "carried.img"
DISKS = (SCRATCH, SWAP, CARRIED)
_PROGRAMS = ("qemu-system-x86_64", "qemu-img", "mkfs.ext4", "mkswap")
_FAIR = (8, 1)
"""Since then a CPU beside a busy one gets its part of a counted clock. Before, it starved: the
sampler took 44 % of a CPU for what takes 12 %."""
_TURN_US = 1000
_SCRATCH_BYTES_PER_S = 8_000_000


def path() -> str:
    """Return where the programs are looked for: some are root's own."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def require() -> None:
    """Raise LabError where a program is missing that a boot takes."""
    missing = [name for name in _PROGRAMS if shutil.which(name, path=path()) is None]
    if missing:
        raise LabError(f"not installed: {', '.join(missing)}; .ci/setup lab installs what it takes")
    if counted() and _version() < _FAIR:
        raise LabError(
            f"QEMU {'.'.join(map(str, _version()))} lets a CPU starve where the clock counts "
            "instructions; 8.1 does not: .ci/setup lab installs it on Debian 12"
        )


def _version() -> tuple[int, ...]:
    done = subprocess.run(
        ["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True, timeout=30
    )
    found = re.match(r"QEMU emulator version ([\d.]+)", done.stdout)
    if found is None:
        raise LabError(f"qemu-system-x86_64 --version says {done.stdout.strip()!r}")
    return tuple(map(int, found[1].split(".")))


def counted() -> bool:
    """Say whether the guest's clock is to count instructions: then the host cannot disturb it.

    Raises LabError when $LAB_CLOCK names no clock.
    """
    name = os.environ.get("LAB_CLOCK", "host")
    if name not in ("host", "instructions"):
        raise LabError(f"LAB_CLOCK is {name!r}; it is host (the default) or instructions")
    return name == "instructions"


def command(
    host: LabHost, disk: Path, state: Path, port: str, *, counted: bool
) -> Sequence[str | Path]:
    """Return what boots `host` from the directories `disk` and `state`, with ssh at `port`.

    Its clock counts instructions where `counted`.
    """
    clock = ["-accel", "tcg,thread=multi"]
    if counted:
        # 4 ns an instruction, and idle time is skipped. Both CPUs share one host thread, and take
        # turns at each timer: a filter that has one every ms keeps what wakes up beside a busy CPU
        # from waiting longer.
        clock = ["-accel", "tcg,thread=single", "-icount", "shift=2,sleep=off"]
        clock += ["-object", f"filter-buffer,id=turns,netdev=net,queue=rx,interval={_TURN_US}"]
    return [
        "qemu-system-x86_64", "-name", "cgbench-lab", "-nodefaults", "-no-user-config",
        "-machine", "q35", *clock, "-cpu", "max",
        *host.nodes_given, "-display", "none", "-serial", f"file:{state / CONSOLE}",
        "-monitor", f"unix:{state / 'monitor'},server,nowait",
        "-kernel", disk / "vmlinuz", "-initrd", disk / "initrd.img",
        "-append", host.parameters,
        "-no-reboot", "-device", "virtio-rng-pci",
        # restrict: the guest reaches nothing, and is reached at one port of loopback alone.
        "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22",
        "-device", "virtio-net-pci,netdev=net", *_drives(state),
        "-daemonize", "-pidfile", state / PID,
    ]  # fmt: skip


def _drives(state: Path) -> list[str]:
    found = []
    for name in (OVERLAY, *DISKS):
        # Nothing here is kept, so that nothing needs to be safe from a power cut.
        kind = "qcow2" if name == OVERLAY else "raw"
        drive = f"file={state / name},format={kind},if=virtio,cache=unsafe"
        if name == SCRATCH:
            # Else the emulated CPU would be slower than the disk, and nothing to share out: at
            # 40 MB/s two readers of equal weight got 1 : 4, at 16 MB/s 1 : 1.7 to 1 : 1.
            drive += f",throttling.bps-read={_SCRATCH_BYTES_PER_S}"
        found += ["-drive", drive]
    return found
