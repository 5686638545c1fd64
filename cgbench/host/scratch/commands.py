"""Run the host's programs, read and write the kernel's files, load its modules, undisturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from cgbench import programs
from cgbench.errors import PreconditionError, ScratchError
from cgbench.host import interrupts

ROOT = Path("/")
"""The host's file tree; tests put another one in its place."""

_PACKAGES = {
    "losetup": "mount",
    "swapon": "mount",
    "swapoff": "mount",
    "mkswap": "util-linux",
    "modprobe": "kmod",
    "systemctl": "systemd",
}
# swapoff reads back all that was swapped out, from a disk that may be slow.
_TIMEOUT_S = 600.0


def require_root(effective_user: int | None = None) -> None:
    """Raise PreconditionError unless this process is root."""
    user = os.geteuid() if effective_user is None else effective_user
    if user != 0:
        raise PreconditionError(
            "only root may make or remove scratch devices, swap and cgroups", "Run it with sudo."
        )


def run(name: str, *arguments: str | Path) -> str:
    """Run a program and return what it printed, without the last newline.

    Raises PreconditionError, naming the Debian package, if it is not installed, and ScratchError
    with its last words if it fails.
    """
    found = programs.find(name)
    if found is None:
        package = _PACKAGES.get(name, name)
        raise PreconditionError(
            f"the program {name} is not installed", f"Install it: apt-get install {package}"
        )
    command = [found, *map(str, arguments)]
    try:
        # Interrupted in between, it might go on and do its work after that was cleaned up after.
        with undisturbed():
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                errors="replace", env=programs.environment(LC_ALL="C"), timeout=_TIMEOUT_S,
                check=False,
                # The terminal's Ctrl-C goes to the whole group.
                start_new_session=True,
            )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ScratchError(f"{name} did not end within {_TIMEOUT_S:.0f} s") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise ScratchError(f"{' '.join([name, *command[1:]])} failed: {said[-1]}")
    return done.stdout.rstrip("\n")


def read(path: Path) -> str | None:
    """Return the text of one of the kernel's files, None where it is not, or no longer, there."""
    try:
        return path.read_text().rstrip("\n")
    except OSError:
        return None


def write(path: Path, text: str) -> None:
    """Write to one of the kernel's files, which must be there.

    Raises ScratchError that names it when refused.
    """
    try:
        # Without O_CREAT: what the kernel does not offer is no file that we make.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC), "w") as file:
            file.write(text)
    except OSError as error:
        raise ScratchError(f"cannot write {text!r} to {path}: {error.strerror}") from error


def load_module(name: str, *parameters: str) -> bool:
    """Load a kernel module; False where there is none, or no modprobe to load it."""
    if programs.find("modprobe") is None:
        return False
    try:
        run("modprobe", "--quiet", name, *parameters)
    except ScratchError:
        return False
    return True


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put interrupts off until the end: giving back half of something is worse than late.

    Only the main thread can be interrupted by them, so that elsewhere there is nothing to do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def later(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        interrupts.put_off(number)

    # A handler that was not installed from Python, None here, could not be put back.
    before = {
        number: signal.signal(number, later)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not None
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            interrupts.handle_now(late)


def until(condition: Callable[[], bool], timeout_s: float = 2.0) -> bool:
    """Wait until `condition` holds, and say whether it did in time."""
    limit = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= limit:
            return False
        time.sleep(0.02)
    return True
