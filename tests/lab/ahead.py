"""What is done once, ahead of boots that all go on from it: the image is loaded, a guest booted."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.lab import disks, qemu
from tests.lab import host as hosts
from tests.lab.disks import cache
from tests.lab.host import LabHost
from tests.lab.machine import Machine

_BOOTED = "booted-"


def stocked(host: LabHost, disk: Path, cargo: Path) -> Path:
    """Return the layer over a disk that holds the workload image, which is made now if it is not
    there: in a guest that is changed in nothing, and whose clock is the host's.
    """
    layer = disks.stocked(disk, cargo)
    if not layer.exists():
        _say("a guest loads the workload image, once")
        for other in disk.glob(f"{disks.STOCKED}*"):
            other.unlink()
        for other in disk.glob(f"{_BOOTED}*"):
            shutil.rmtree(other)
        found = Machine(disk, cache() / "ahead", host.unchanged, counted=False)
        found.prepare(cargo)
        found.boot()
        found.keep(layer)
        found.stop()
    return layer


def booted(host: LabHost, disk: Path, cargo: Path, layer: Path) -> Path:
    """Return the directory of a guest that has booted on a layer, which is made now if it is not
    there. Hosts share it that boot alike; its clock counts instructions.
    """
    saved = _saved(host, disk, layer)
    if not saved.exists():
        # What no host goes on from any more: of another QEMU, or another command line.
        wanted = {_saved(one, disk, layer) for one in map(hosts.load, hosts.names())} | {saved}
        for other in set(disk.glob(f"{_BOOTED}*")) - wanted:
            shutil.rmtree(other)
        _say("a guest boots, once; its memory is kept")
        found = Machine(disk, cache() / "ahead", host, counted=True)
        found.prepare(cargo, layer)
        found.boot()
        part = saved.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        found.save(part)
        part.rename(saved)
    return saved


def _saved(host: LabHost, disk: Path, layer: Path) -> Path:
    return disk / f"{_BOOTED}{qemu.digest(host, disk, counted=True)}-{layer.stem}"


def _say(text: str) -> None:
    print(f"==> lab: {text}", file=sys.stderr, flush=True)
