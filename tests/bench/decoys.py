"""Foreign things that look a little like cgbench's own: nothing of them may be touched."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_NAME = "cgbench-decoy"
_STRANGER = 12345


@contextmanager
def planted(image: str) -> Iterator[None]:
    """Plant a container, a loop device, a folder, a file and a cgroup; remove them at the end."""
    with ExitStack() as stack:
        stack.enter_context(_container(image))
        stack.enter_context(_loop_device())
        stack.enter_context(_folder())
        stack.enter_context(_cgroup())
        yield


@contextmanager
def _container(image: str) -> Iterator[None]:
    """Run a container with a name of ours and without our label."""
    _run("docker", "run", "-d", "--name", _NAME, "--network", "none", image, "sleep", "86400")
    try:
        yield
    finally:
        _run("docker", "rm", "-f", _NAME)


@contextmanager
def _loop_device() -> Iterator[None]:
    """Attach a file in the folder of our scratch files, with nearly their name."""
    file = Path("/var/tmp/cgbench-scratch-decoy.img")
    file.write_bytes(bytes(2**20))
    node = _run("losetup", "--find", "--show", str(file))
    try:
        yield
    finally:
        _run("losetup", "--detach", node)
        file.unlink()


@contextmanager
def _folder() -> Iterator[None]:
    """Make a stranger's folder where ours are, with a file in it."""
    folder = Path("/dev/shm") / _NAME
    folder.mkdir()
    (folder / "theirs").write_text("theirs")
    os.chown(folder, _STRANGER, _STRANGER)
    try:
        yield
    finally:
        (folder / "theirs").unlink()
        folder.rmdir()


@contextmanager
def _cgroup() -> Iterator[None]:
    """Make an empty group beside those of ours."""
    top = Path("/sys/fs/cgroup")
    place = (top if (top / "cgroup.controllers").exists() else top / "memory") / f"not-{_NAME}"
    place.mkdir()
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            place.rmdir()


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.strip()
