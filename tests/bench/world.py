"""What there is on this host that cgbench could leave behind, or take from others."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path

from cgbench.engine.labels import LABEL

World = frozenset[str]
"""One line for each thing, its kind first."""

_CGROUPS = Path("/sys/fs/cgroup")
_PLACES = ("/dev/shm", "/dev/shm/cgbench", "/run", "/run/cgbench", "/var/tmp")

MARK = "CGBENCH_CHAOS"
"""A variable of the environment that every process of the campaign's commands inherits."""


def look() -> World:
    """Return everything there is now."""
    return frozenset(
        [
            *_docker("container", "ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}}"),
            *_docker("network", "network", "ls", "--format", "{{.Name}} {{.Driver}}"),
            *_docker("volume", "volume", "ls", "-q"),
            *_loops(),
            *(f"swap {line}" for line in _lines("/proc/swaps")[1:]),
            *_zram(),
            *_cgroups(),
            *_mounts(),
            *_files(),
            # A test's own folders come and go there.
            *(f"file {path}" for path in Path("/tmp").glob("cgbench-traceback-*")),
            *_processes(),
        ]
    )


def running() -> list[str]:
    """Return the containers of cgbench that run now."""
    return _printed("docker", "ps", "--filter", f"label={LABEL}", "--format", "{{.Names}}")


def _docker(kind: str, *arguments: str) -> list[str]:
    return [f"{kind} {line}" for line in _printed("docker", *arguments)]


def _printed(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.splitlines()


def _lines(path: str) -> list[str]:
    return Path(path).read_text(errors="replace").splitlines()


def _loops() -> list[str]:
    found = json.loads("".join(_printed("losetup", "--list", "--json")) or "{}")
    loops = [f"loop {one['name']} {one['back-file']}" for one in found.get("loopdevices", [])]
    # A device that was free again keeps the owner that it was given.
    nodes = [
        f"node {node} {node.stat().st_uid}" for node in sorted(Path("/dev").glob("loop[0-9]*"))
        if node.stat().st_uid != 0
    ]  # fmt: skip
    return loops + nodes


def _zram() -> list[str]:
    return [f"zram {path.name}" for path in sorted(Path("/sys/block").glob("zram*"))]


def _cgroups() -> list[str]:
    """Return the groups of the first two levels, without those that containers come and go in."""
    found = [
        path
        for depth in ("*", "*/*", "*/*/*")
        for path in _CGROUPS.glob(depth)
        if path.is_dir() and ("cgbench" in path.name or path.parent.name in ("docker", "cgbench"))
    ]
    return [f"cgroup {path}" for path in found]


def _mounts() -> list[str]:
    return [f"mount {line.split()[4]}" for line in _lines("/proc/self/mountinfo")]


def _files() -> list[str]:
    return [
        f"file {path}"
        for place in _PLACES
        if Path(place).is_dir()
        for path in Path(place).iterdir()
        if "cgbench" in path.name or place.endswith("/cgbench")
    ]


def _processes() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if f"{MARK}=".encode() in path.with_name("environ").read_bytes():
                found.append(f"process {path.parent.name} {words[:90]}")
    return found
