"""The base image made out of Debian packages, for hosts that reach no registry."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import tarfile
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from cgbench import programs
from cgbench.errors import ImageError

DEBOOTSTRAP_TIMEOUT_S = 1200.0
"""debootstrap takes half a minute; on a network that swallows packets it would wait for hours."""

_LAST_LINES = 8
_TREE_PREFIX = "cgbench-base-"
# Inside the tree: what only this host's name server or a second `apt-get` would read.
_NOT_IN_BASE = ("etc/hostname", "etc/resolv.conf", "var/cache/apt/", "var/lib/apt/lists/")
_DEBIAN = re.compile(r"^debian:([a-z]+)(?:-\d+)?(?:-slim)?$")


def make(
    base: str,
    import_image: Callable[[BinaryIO, str], None],
    log: Callable[[str], None],
    owner: str,
) -> None:
    """Make the base image `base` out of Debian packages and hand its tar stream to `import_image`.

    `owner` names this process in the name of the folder that it is made in, for `sweep`.
    Raises ImageError when it cannot be made.
    """
    match = _DEBIAN.match(base)
    if match is None:
        raise ImageError(
            f"no registry answers, and {base} cannot be made without one",
            f"Only debian:SUITE can. Or load it yourself: docker load, then {base} is found.",
        )
    debootstrap = programs.find("debootstrap")
    if debootstrap is None:
        raise ImageError(
            f"no registry answers, and without one making {base} needs debootstrap",
            "Install it: apt-get install debootstrap debian-archive-keyring",
        )
    if os.geteuid() != 0:
        raise ImageError(
            f"no registry answers, and without one making {base} needs root",
            "Run this command as root; once the image exists it is not needed again.",
        )
    suite = match[1]
    with _tree(owner) as tree:
        # Its own mount namespace: debootstrap mounts /proc, /sys and sometimes /dev in the tree.
        # However it ends, those mounts end with it, so that removing the tree removes files only.
        # Without the keyring debootstrap would merely warn; unsigned packages are no base.
        # Killed with this process, lest it go on in a tree that is being removed.
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount"]
        command += [debootstrap, "--variant=minbase", "--force-check-gpg"]
        command += [suite, str(tree), *_mirror(suite)]
        last = deque[str](maxlen=_LAST_LINES)

        def keep_and_log(line: str) -> None:
            last.append(line)
            log(line)

        status = _run(command, keep_and_log)
        if status != 0:
            raise _bootstrap_failed(base, status, last, tree)
        with tempfile.TemporaryFile(dir=tree.parent) as tar:
            _pack(tree, tar)
            tar.seek(0)
            import_image(tar, base)


@contextmanager
def _tree(owner: str) -> Iterator[Path]:
    """Lend an empty directory for a root file system, and remove it whatever happens."""
    with tempfile.TemporaryDirectory(
        prefix=f"{_TREE_PREFIX}{owner}-", dir=_tree_parent()
    ) as directory:
        # Inside, since the directory itself is open to its owner only, and `/` of an image is not.
        tree = Path(directory, "root")
        tree.mkdir(mode=0o755)
        yield tree


def _tree_parent() -> Path:
    """Return where trees are made: not /tmp, which may be small and without device nodes."""
    return Path(os.environ.get("TMPDIR") or "/var/tmp")


def _mirror(suite: str) -> list[str]:
    """Return the Debian mirror that this host's apt uses, as debootstrap's argument; [] if none.

    apt reads its own configuration best, and knows from a mirror's signed index whose it is.
    """
    form = "$(ORIGIN)|$(COMPONENT)|$(CODENAME)|$(REPO_URI)"
    try:
        answer = subprocess.run(
            ["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            env=programs.environment(),
        )
    except (OSError, subprocess.SubprocessError):
        return []
    # An index that was never fetched has no origin: that field is empty.
    targets = [line.split("|") for line in answer.stdout.splitlines() if line.count("|") == 3]
    # An address with a user in it would put the password into the image.
    mirrors = {
        codename: uri
        for origin, component, codename, uri in reversed(targets)
        if (origin, component) == ("Debian", "main")
        and "-" not in codename
        and uri.startswith(("http://", "https://"))
        and "@" not in uri
    }
    return [mirrors[suite]] if suite in mirrors else list(mirrors.values())[-1:]


def _run(command: list[str], log: Callable[[str], None]) -> int:
    """Run `command`, hand on each line it prints, and return its status. Nothing outlives this."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        env=programs.environment(LC_ALL="C", DEBIAN_FRONTEND="noninteractive"),
    ) as process:

        def end() -> None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(DEBOOTSTRAP_TIMEOUT_S, end)
        timer.start()
        assert process.stdout is not None
        try:
            for line in process.stdout:
                log(line.rstrip())
            return process.wait()
        finally:
            timer.cancel()
            end()
            # The pipe ends when the last process that holds it has gone.
            process.stdout.read()


def _bootstrap_failed(base: str, status: int, last: Iterable[str], tree: Path) -> ImageError:
    """Return the error that says why debootstrap failed, as far as its output shows."""
    lines = list(last)
    # What the package tools said inside the tree goes to a log that is about to be removed.
    with suppress(OSError):
        lines += (tree / "debootstrap/debootstrap.log").read_text(errors="replace").splitlines()
    lines = lines[-_LAST_LINES:]
    said = "\n".join(lines).lower()
    if "keyring" in said or "gpgv" in said or "unknown key" in said:
        advice = "Install Debian's keys: apt-get install debian-archive-keyring gpgv"
    elif "noexec" in said or "nodev" in said:
        advice = f"{_tree_parent()} cannot hold a system; set TMPDIR to a directory that can."
    elif "no space left" in said:
        advice = f"Free 500 MB under {_tree_parent()}, or set TMPDIR to another directory."
    elif "failed getting release" in said or "retrieving" in said:
        advice = "Check that this host reaches its Debian mirror: apt-get update"
    elif status < 0:
        advice = "It was ended by a signal; if by nobody, the network is too slow. Try again."
    else:
        advice = "Correct what it complains about, and try again."
    quoted = "\n".join(f"  {line}" for line in lines)
    return ImageError(
        f"debootstrap could not make {base} (exit status {status})",
        f"{advice}\nIts last lines:\n{quoted}" if quoted else advice,
    )


def _pack(tree: Path, tar: BinaryIO) -> None:
    """Write the root file system `tree` to `tar`."""

    def keep(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        # A directory stays, so that apt finds its own; only what is in it goes.
        name = member.name.removeprefix("./")
        return None if name.startswith(_NOT_IN_BASE) and not member.isdir() else member

    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(tree, arcname=".", filter=keep)


def sweep(is_dead: Callable[[str], bool]) -> list[Path]:
    """Remove the trees that an interrupted build left behind, and return where they were.

    `is_dead` says whether an owner is; everybody may write there, so only own folders are removed.
    """
    swept = []
    for tree in _tree_parent().glob(f"{_TREE_PREFIX}*"):
        owner = tree.name.removeprefix(_TREE_PREFIX).rpartition("-")[0]
        if is_dead(owner) and _is_own(tree):
            shutil.rmtree(tree, ignore_errors=True)
            swept.append(tree)
    return swept


def _is_own(tree: Path) -> bool:
    try:
        found = tree.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
