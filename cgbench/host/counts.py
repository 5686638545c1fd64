"""What the kernel counted of one group until now: its counters, its limits, and how often these
were reached.

Formats are those of the kernel's cgroup-v1 and cgroup-v2 documents.
"""

from __future__ import annotations

from collections.abc import Iterator

from cgbench.errors import CgroupError
from cgbench.host import cgroups, interface_files
from cgbench.host.cgroups import Cgroup
from cgbench.records.audit import NO_LIMIT

# Each by what is read in its place where a kernel lacks it. v1 counts those of memory and swap
# apart, and asks that one first. Of v2 the local ones are the group's own, and the others also
# those of all groups below.
_MORE: tuple[tuple[str, str, tuple[tuple[str, str | None], ...]], ...] = (
    ("memory_max", "memory", (("memory.max", None), ("memory.limit_in_bytes", None))),
    ("limit_hits", "memory", (("memory.events.local", "max"), ("memory.events", "max"))),
    ("out_of_memory", "memory", (("memory.events.local", "oom"),)),
    ("under_oom", "memory", (("memory.oom_control", "under_oom"),)),
    ("memory_peak", "memory", (("memory.peak", None), ("memory.max_usage_in_bytes", None))),
    ("major_faults", "memory", (("memory.stat", "pgmajfault"),)),
    ("tasks_max", "pids", (("pids.max", None),)),
    ("refused_forks", "pids", (("pids.events", "max"),)),
)
_REFAULTS = ("workingset_refault_file", "workingset_refault_anon")
_V1_HITS = ("memory.failcnt", "memory.memsw.failcnt")


def counters(cgroup: Cgroup) -> dict[str, int]:
    """Return the counters of the registry that can be read now, in SI units."""
    return _counters(cgroup, _Files(cgroup))


def _counters(cgroup: Cgroup, files: _Files) -> dict[str, int]:
    values = {}
    for counter in cgroup.known_counters():
        reading = files.number(counter.controller, counter.file, counter.key)
        if reading is not None:
            values[counter.name] = reading * counter.scale
    return values


def counts(cgroup: Cgroup) -> dict[str, int]:
    """Return the counters, and also limits and how often they were reached.

    What is not limited or not counted is left out. Raises CgroupError where a file may not be read.
    """
    files = _Files(cgroup)
    values = _counters(cgroup, files)
    for name, controller, places in _MORE:
        for file, key in places:
            found = files.number(controller, file, key)
            if found is not None and not (name.endswith("_max") and found >= NO_LIMIT):
                values[name] = found
                break
    hits = files.sum("memory", [(file, None) for file in _V1_HITS])
    if hits is not None:
        values["limit_hits"] = hits
        if not hits and values.get("memory_peak", 0) >= values.get("memory_max", NO_LIMIT):
            # Seen with Linux 6.18: v1's failcnt stays 0, however often the limit is reached.
            del values["limit_hits"]
    refaults = files.sum("memory", [("memory.stat", key) for key in _REFAULTS])
    if refaults is not None:
        values["refaults"] = refaults
    return values


class _Files:
    """The files of one group at one moment, each read once; of many lines only a few are parsed."""

    def __init__(self, cgroup: Cgroup) -> None:
        self._cgroup = cgroup
        self._read: dict[tuple[str, str], str] = {}

    def number(self, controller: str, file: str, key: str | None) -> int | None:
        """Return a number in a file, or behind a key there, None where there is none."""
        text = self._read.get((controller, file))
        if text is None:
            text = self._read[controller, file] = self._text(controller, file)
        return interface_files.number(text if key is None else _behind(key, text))

    def sum(self, controller: str, places: list[tuple[str, str | None]]) -> int | None:
        """Return the sum of those numbers that are there, None where none is."""
        found = [self.number(controller, file, key) for file, key in places]
        there = [one for one in found if one is not None]
        return sum(there) if there else None

    def _text(self, controller: str, file: str) -> str:
        """Return what is in a file, nothing where there is none."""
        try:
            self._cgroup.name(controller, file)
        except CgroupError:
            # This kernel has no such controller.
            return ""
        return self._cgroup.read(controller, file) or ""


def _behind(key: str, text: str) -> str:
    """Return what stands behind a key on its line of a flat-keyed file."""
    begin = f"\n{text}".rfind(f"\n{key} ")
    return "" if begin < 0 else text[begin + len(key) :].partition("\n")[0]


def levels(cgroup: Cgroup) -> Iterator[tuple[str, Cgroup]]:
    """Yield a group and all above it, each by its path from the top, up to where it is mounted.

    On v1 a level has directories in many hierarchies, which need not be equally deep.
    """
    lines = {folder: list(cgroups.upwards(folder)) for folder in cgroup.everywhere()}
    for level in range(max(map(len, lines.values()), default=0)):
        directories = {
            controller: lines[folder][level]
            for controller, folder in cgroup.directories.items()
            if level < len(lines[folder])
        }
        unified = None
        if cgroup.unified is not None and level < len(lines[cgroup.unified]):
            unified = lines[cgroup.unified][level]
        at = max((line for line in lines.values() if level < len(line)), key=len)
        yield str(at[level])[len(str(at[-1])) :] or "/", Cgroup(directories, unified)
