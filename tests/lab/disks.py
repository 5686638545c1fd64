"""What guests are made from: a disk of each suite and engine, and what is carried into it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.lab.host import LabError, LabHost

HERE = Path(__file__).parent
IMAGE = "image.tar"
STOCKED = "with-image-"
_BUILD_TIMEOUT_S = 900.0


def cache() -> Path:
    """Return where disks are kept between boots, outside any checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cgbench" / "lab"


def build_inputs() -> list[Path]:
    """Return the files that decide what is on the disk."""
    fixed = [HERE / "build_disk", HERE / "mirror"]
    return sorted(path for path in (*fixed, *(HERE / "guest").rglob("*")) if path.is_file())


def digest(host: LabHost) -> str:
    """Return the name of the disk that the build inputs give for a host."""
    mirror = os.environ.get("LAB_MIRROR", "")
    total = hashlib.sha256(f"{host.suite}\0{host.engine}\0{mirror}".encode())
    for path in build_inputs():
        total.update(f"{path.relative_to(HERE)}\0".encode() + path.read_bytes())
    return total.hexdigest()[:16]


def built(host: LabHost) -> Path:
    """Return the directory of a host's disk, which is made now unless it is there.

    Raises LabError when it cannot be made.
    """
    folder = cache() / digest(host)
    if (folder / "disk.img").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            [HERE / "build_disk", folder, host.suite, host.engine],
            check=True, timeout=_BUILD_TIMEOUT_S,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise LabError(f"the disk could not be made: {error}") from None
    return folder


def packed(host: LabHost) -> Path:
    """Return the directory of what the guest is to get, brought up to date now.

    Raises LabError when something of it cannot be had.
    """
    cargo = cache() / f"cargo-{host.python}"
    pinned = cargo / "pinned"
    try:
        subprocess.run([HERE / "pack", cargo, host.python], check=True, timeout=_BUILD_TIMEOUT_S)
        shutil.rmtree(pinned, ignore_errors=True)
        for pin in host.pins:
            command = (str(HERE / "fetch_packages"), str(pinned), pin.suite, pin.wanted)
            subprocess.run(command, check=True, timeout=_BUILD_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise LabError(f"what {host.name} needs could not be packed: {error}") from None
    return cargo


def stocked(disk: Path, cargo: Path) -> Path:
    """Return the layer over a disk that holds the workload image of `cargo`, made or not."""
    tag = (cargo / ".image").read_text().strip()
    return disk / f"{STOCKED}{tag.rpartition(':')[2]}.qcow2"
