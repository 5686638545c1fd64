"""What can share out I/O by weights here: the bfq scheduler, or the cost model of cgroup v2."""

from __future__ import annotations

from pathlib import Path

from cgbench.errors import CgroupError
from cgbench.host import cgroups

NONE = "none"
"""Neither of them: a weight is a number that nobody reads."""


def found(proc: Path = Path("/proc"), root: Path = Path("/")) -> str:
    """Return `bfq`, `io.cost`, both or `none`, as the kernel has them now.

    A scheduler that could be loaded and is not counts for nothing: its interface files come with
    it, and so does what a runtime writes to.
    """
    named = [("bfq", has_bfq(root)), ("io.cost", has_cost_model(proc, root))]
    return ", ".join(name for name, there in named if there) or NONE


def has_bfq(root: Path = Path("/")) -> bool:
    """Say whether bfq is loaded, or part of the kernel, so that a block device offers it."""
    if (root / "sys/module/bfq").is_dir():
        return True
    return any("bfq" in _text(path) for path in (root / "sys/block").glob("*/queue/scheduler"))


def has_cost_model(proc: Path, root: Path) -> bool:
    """Say whether any device has its cost model switched on, which only v2 knows."""
    try:
        lines = cgroups.at("/", proc, root).read("io", "io.cost.qos") or ""
    except CgroupError:
        return False
    return any("enable=1" in line.split() for line in lines.splitlines())


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        # A device that went away meanwhile offers nothing.
        return ""
