"""QEMU: what a guest of the lab is started with, and the programs that it takes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.host import LabError, LabHost

OVERLAY, PID, CONSOLE, MEMORY = "overlay.qcow2", "qemu.pid", "console.log", "memory"
SCRATCH, SWAP, CARRIED = "scratch.img", "swap.img", "carried.img"
DISKS = (SCRATCH, SWAP, CARRIED)
_PROGRAMS = ("qemu-system-x86_64", "qemu-img", "mkfs.ext4", "mkswap")
_FAIR = (8, 1)
"""Since then a CPU beside a busy one gets its part of a counted clock. Before, it starved: the
sampler took 44 % of a CPU for what takes 12 %."""
_CPU = "max,erms=off,fsrm=off"
"""Without the flags that make kernels and libraries copy and clear by `rep movsb` and `rep stosb`:
those are emulated byte by byte, and filling memory took 13 times as long."""
_TURN_US = 1000
_MONITOR = "monitor"
_SAVE_TIMEOUT_S = 120.0
_SCRATCH_BYTES_PER_S = 8_000_000


def path() -> str:
    """Return where the programs are looked for: some are root's own."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def require() -> None:
    """Raise LabError where a program is missing that a boot takes."""
    missing = [name for name in _PROGRAMS if shutil.which(name, path=path()) is None]
    if missing:
        raise LabError(f"not installed: {', '.join(missing)}; .ci/setup lab installs what it takes")
    if counted() and version() < _FAIR:
        raise LabError(
            f"QEMU {'.'.join(map(str, version()))} lets a CPU starve where the clock counts "
            "instructions; 8.1 does not: .ci/setup lab installs it on Debian 12"
        )


def run(*command: str | Path) -> None:
    """Run a program, one of root's own if need be. Raises LabError with what it says."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=120,
                       env={**os.environ, "PATH": path()})  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise LabError(f"{command[0]} failed: {error.stderr.strip()}") from None


def write_memory(state: Path, into: Path) -> None:
    """Have the QEMU of `state` stop its guest and write the memory to a file.

    Raises LabError when it does not.
    """
    with Monitor(state / _MONITOR) as monitor:
        monitor.ask("migrate", uri=f"file:{into}")
        limit = time.monotonic() + _SAVE_TIMEOUT_S
        while (status := monitor.ask("query-migrate").get("status")) != "completed":
            if status in ("failed", "cancelled") or time.monotonic() > limit:
                raise LabError(f"the guest's memory could not be saved: {status}")
            time.sleep(0.2)


class Monitor:
    """QEMU's own interface to control it, QMP: one command after another."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_SAVE_TIMEOUT_S)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rb")
        self._lines.readline()
        self.ask("qmp_capabilities")

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()

    def ask(self, command: str, **arguments: object) -> dict[str, Any]:
        """Return what a command gives back. Raises LabError when it is refused."""
        request = {"execute": command, "arguments": arguments}
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            for line in self._lines:
                answer = json.loads(line)
                if "error" in answer:
                    raise LabError(f"QEMU refused {command}: {answer['error']['desc']}")
                # Events come in between.
                if "return" in answer:
                    found: dict[str, Any] = answer["return"]
                    return found
        except OSError as error:
            raise LabError(f"QEMU did not answer {command}: {error}") from None
        raise LabError(f"QEMU ended before it answered {command}")


def version() -> tuple[int, ...]:
    """Return QEMU's version. Raises LabError when it does not say one."""
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


def digest(host: LabHost, disk: Path, *, counted: bool) -> str:
    """Return in short what a guest's memory depends on: only the same QEMU can go on from it."""
    said = "\0".join(map(str, command(host, disk, Path("state"), "0", counted=counted)))
    return hashlib.sha256(f"{said}\0{version()}".encode()).hexdigest()[:16]


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
        "-machine", "q35", *clock, "-cpu", _CPU,
        *host.nodes_given, "-display", "none",
        "-chardev", f"file,id=console,path={state / CONSOLE},append=on",
        "-serial", "chardev:console",
        "-qmp", f"unix:{state / _MONITOR},server=on,wait=off",
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
