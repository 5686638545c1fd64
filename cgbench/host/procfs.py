"""What /proc says, parsed once: processes, mounts, memory, swaps, CPUs and pressure.

Every function takes the directory where procfs is mounted. The formats are those of proc(5).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
# CAP_SYS_ADMIN and CAP_SYS_RESOURCE: see setrlimit(2).
_MAY_EXCEED = 1 << 21 | 1 << 24
_NUMBER = re.compile(r"^-?[0-9]+$")
_AT_ONCE = 2**16


@dataclass(frozen=True)
class ProcessStat:
    """One line of /proc/<pid>/stat: `started` in clock ticks after boot, `processor` its CPU.

    `used` is the CPU time of all its threads in clock ticks, `name` what it calls itself.
    """

    pid: int
    name: str
    state: str
    used: int
    started: int
    processor: int


@dataclass(frozen=True)
class Credentials:
    """Whose a process is: `most_tasks` is its soft RLIMIT_NPROC, None where that is no limit.

    `exempt` says that the kernel lets it have more: user 0 of the host, or a capability.
    """

    uid: int
    threads: int
    most_tasks: int | None
    exempt: bool


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo: its device, what of the file system is mounted where, and options.

    `options` are those of the file system, such as the controllers of a v1 hierarchy.
    """

    device: str
    root: str
    point: str
    kind: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class ActiveSwap:
    """One line of /proc/swaps, in bytes."""

    path: Path
    size: int
    used: int
    priority: int


def parse_stat(text: str) -> ProcessStat | None:
    """Return what a process's `stat` says, None where it is malformed.

    The name may hold anything, brackets too, so fields are counted behind its last bracket.
    """
    pid, _, rest = text.partition(" (")
    fields = rest.rpartition(")")[2].split()
    if not pid.isdecimal() or len(fields) < 37:
        return None
    numbers = [fields[at] for at in (11, 12, 19, 36)]
    if not all(one.isdecimal() for one in numbers):
        return None
    user, system, started, processor = map(int, numbers)
    name = rest.rpartition(")")[0]
    return ProcessStat(int(pid), name, fields[0], user + system, started, processor)


def process(pid: int, proc: Path = PROC) -> ProcessStat | None:
    """Return what the kernel says of process `pid`, None if there is no such process."""
    return parse_stat(_text(f"{proc}/{pid}/stat"))


def processes(proc: Path = PROC) -> Iterator[ProcessStat]:
    """Yield what the kernel says of every process; those that end meanwhile are left out."""
    for folder in proc.iterdir():
        if folder.name.isdecimal():
            seen = process(int(folder.name), proc)
            if seen is not None:
                yield seen


def held(pidfd: int) -> int | None:
    """Return the number of the process that one of our descriptors holds, None if it has ended."""
    line = re.search(r"^Pid:[ \t]*([0-9]+)$", _text(PROC / "self" / "fdinfo" / str(pidfd)), re.M)
    return int(line[1]) if line and int(line[1]) > 0 else None


def family(pid: int, proc: Path = PROC) -> Iterator[int]:
    """Yield a process and all that descend from it; those that end meanwhile are left out."""
    found = [pid]
    while found:
        one = found.pop()
        yield one
        tasks = f"{proc}/{one}/task"
        with suppress(OSError):
            for task in sorted(entry.name for entry in os.scandir(tasks)):
                children = _text(f"{tasks}/{task}/children").split()
                found += [int(word) for word in children if word.isdecimal()]


def allowed_cpus(pid: int, proc: Path = PROC) -> str | None:
    """Return the list of CPUs that process `pid` may use, None if there is no such process."""
    line = re.search(r"^Cpus_allowed_list:[ \t]*(\S+)$", _text(f"{proc}/{pid}/status"), re.M)
    return line[1] if line else None


def credentials(pid: int, proc: Path = PROC) -> Credentials | None:
    """Return whose process `pid` is and how many tasks it may have; None if there is none such."""
    status = _text(f"{proc}/{pid}/status")
    found = {
        key: match[1]
        for key in ("Uid", "Threads", "CapEff")
        if (match := re.search(rf"^{key}:[ \t]*([0-9a-f]+)", status, re.M)) is not None
    }
    if len(found) != 3:
        return None
    limit = re.search(r"^Max processes\s+(\d+|unlimited)\s", _text(f"{proc}/{pid}/limits"), re.M)
    most = int(limit[1]) if limit and limit[1].isdecimal() else None
    exempt = found["Uid"] == "0" or bool(int(found["CapEff"], 16) & _MAY_EXCEED)
    return Credentials(int(found["Uid"]), int(found["Threads"]), most, exempt)


def pending(pid: int, number: int, proc: Path = PROC) -> bool:
    """Say whether a signal waits for process `pid` to take it; False if there is none such."""
    found = re.findall(r"^(?:Sig|Shd)Pnd:[ \t]*([0-9a-f]+)$", _text(f"{proc}/{pid}/status"), re.M)
    return any(int(mask, 16) >> (number - 1) & 1 for mask in found)


def content(path: str | Path, most: int = 2**31) -> bytes:
    """Return what a file of the kernel's says, of which `most` bytes count.

    An audit reads thousands: this takes a third of the time of `Path.read_bytes`. Raises OSError
    where it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.read(descriptor, _AT_ONCE)
        while len(found) < most and (part := os.read(descriptor, _AT_ONCE)):
            found += part
    finally:
        os.close(descriptor)
    return found[:most]


def lines(path: Path) -> list[str]:
    """Return the lines of a file with names in it, which may hold all other ends of lines.

    Raises OSError where it cannot be read.
    """
    return [line for line in os.fsdecode(content(path)).split("\n") if line]


def mounts(proc: Path = PROC, process: int | str = "self") -> list[Mount]:
    """Return every mount of a process's namespace, in order. Raises OSError if it is not read."""
    found = []
    for line in lines(proc / str(process) / "mountinfo"):
        before, separator, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if separator and len(fields) >= 5 and len(kind) >= 3:
            found.append(
                Mount(
                    device=fields[2],
                    root=_unescaped(fields[3]),
                    point=_unescaped(fields[4]),
                    kind=kind[0],
                    options=tuple(kind[2].split(",")),
                )
            )
    return found


def memory(proc: Path = PROC) -> Mapping[str, int]:
    """Return meminfo in bytes: MemTotal, MemAvailable, SwapFree, ...; empty if it is not there."""
    values = {}
    for line in _text(proc / "meminfo").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal():
            values[name] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return values


def swaps(proc: Path = PROC) -> list[ActiveSwap]:
    """Return every swap that is switched on, the one used first in front.

    A kernel without swap has no such file.
    """
    found: list[ActiveSwap] = []
    try:
        _head, *rest = lines(proc / "swaps")
    except (OSError, ValueError):
        return found
    for line in rest:
        fields = re.split("[ \t]+", line)
        if len(fields) < 5 or not all(_NUMBER.match(field) for field in fields[2:5]):
            continue
        size, used = int(fields[2]) * 1024, int(fields[3]) * 1024
        found.append(ActiveSwap(Path(_unescaped(fields[0])), size, used, int(fields[4])))
    return sorted(found, key=lambda one: -one.priority)


def cpu_info(key: str, proc: Path = PROC) -> list[str]:
    """Return the values of one key of cpuinfo, for each CPU that has one."""
    pattern = rf"^{re.escape(key)}[ \t]*:[ \t]*(\S.*)$"
    return [value.strip() for value in re.findall(pattern, _text(proc / "cpuinfo"), re.MULTILINE)]


def waited_us(resource: str, proc: Path = PROC) -> int | None:
    """Return the µs since boot in which some task waited for a resource, None without PSI."""
    text = _text(proc / "pressure" / resource)
    some = re.search(r"^some .*\btotal=(\d+)", text, re.MULTILINE)
    return int(some[1]) if some else None


def listens(pid: int, socket: str, proc: Path = PROC) -> bool:
    """Say whether process `pid` holds the socket that is bound at a path.

    It may have made it itself, or been handed it by systemd. The same directory may have two
    paths, as /run and /var/run.
    """
    wanted = os.path.realpath(socket)
    held = set()
    for descriptor in (proc / str(pid) / "fd").glob("*"):
        with suppress(OSError):
            held.add(str(descriptor.readlink()))
    # Num RefCount Protocol Flags Type St Inode Path, see proc(5).
    lines = (line.split(maxsplit=7) for line in _text(proc / "net/unix").splitlines()[1:])
    return any(
        len(fields) == 8
        and os.path.realpath(fields[7]) == wanted
        and f"socket:[{fields[6]}]" in held
        for fields in lines
    )


def _text(path: str | Path) -> str:
    try:
        return content(path).decode(errors="replace")
    except OSError:
        return ""


def _unescaped(field: str) -> str:
    """Undo the octal escapes that stand for blanks and backslashes."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
