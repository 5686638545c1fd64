"""The kernel's log, as /dev/kmsg gives it: which processes were killed for want of memory, and
where forks were refused.

Formats: Documentation/ABI/testing/dev-kmsg, dump_oom_summary in mm/oom_kill.c, and
kernel/cgroup/pids.c.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cgbench.records.cause import ForkRefusal, OomKill

KMSG = Path("/dev/kmsg")
# A record is no longer than this (PRINTK_MESSAGE_MAX).
_LONGEST = 8192
_MOMENT_S = 5.0

_RECORD = re.compile(r"^[0-9]+,[0-9]+,([0-9]+),[^;]*;(.*)$")
# A task may call itself as it likes, so whatever stands in front of its name is found first.
_KILL = re.compile(
    r"^oom-kill:constraint=(\w+),.*?,mems_allowed=[0-9,-]*,"
    r"(?:oom_memcg=(.*?)|global_oom),task_memcg=(.*?),task=(.*),pid=([0-9]+),uid=[0-9]+$"
)
# Stands behind it, and alone where another message came between the parts of the first one.
_KILLED = re.compile(r"^(?:Memory cgroup out|Out) of memory.*?: Killed process ([0-9]+) \((.*)\) ")
# The kernel writes it once for each group.
_REFUSED = re.compile(r"^cgroup: fork rejected by pids controller in (/.*)$")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")


@dataclass(frozen=True)
class KernelLog:
    """What is left of the log: kills, and the first fork of each group that was refused, the oldest
    first; and from when on it goes (UNIX time).
    """

    kills: tuple[OomKill, ...]
    since: float | None
    refusals: tuple[ForkRefusal, ...] = ()


def read(path: Path = KMSG, begin: float | None = None) -> KernelLog | None:
    """Return the kernel's log, None where it may not be read, or is not there.

    `begin` is the UNIX time at which the kernel's clock stood at 0, by default as of now.
    """
    if begin is None:
        begin = time.time() - time.monotonic()
    try:
        content = b"".join(_records(path))
    except OSError:
        return None
    kills: list[OomKill] = []
    refusals: list[ForkRefusal] = []
    since = None
    for line in content.decode(errors="replace").split("\n"):
        found = _RECORD.match(line)
        if found is None:
            continue
        at = begin + int(found[1]) / 1e6
        since = at if since is None else since
        kill = parse(found[2], at)
        if kill is not None and not (kill.group is None and _told(kill, kills)):
            kills.append(kill)
        if (refused := _REFUSED.match(found[2])) is not None:
            refusals.append(ForkRefusal(at=at, group=_plain(refused[1])))
    return KernelLog(tuple(kills), since, tuple(refusals))


def _told(kill: OomKill, kills: Sequence[OomKill]) -> bool:
    """Say whether a kill was told of a moment before, by a message that names its group."""
    return any(one.pid == kill.pid and kill.at - one.at < _MOMENT_S for one in kills)


def parse(message: str, at: float) -> OomKill | None:
    """Return the kill that a message tells of, None where it tells of none.

    It has no group where the message names none.
    """
    found = _KILL.match(message)
    if found is None:
        short = _KILLED.match(message)
        if short is None:
            return None
        return OomKill(at=at, constraint="", out=None, group=None, task=_plain(short[2]),
                       pid=int(short[1]))  # fmt: skip
    constraint, out, group, task, pid = found.groups()
    return OomKill(
        at=at,
        constraint=constraint,
        out=None if out is None else _plain(out),
        group=_plain(group),
        task=_plain(task),
        pid=int(pid),
    )


def _plain(text: str) -> str:
    """Return a text without the log's escapes, which it makes of all that is not printable."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def _records(path: Path) -> Iterator[bytes]:
    """Yield the records that are in the log now. Raises OSError where that cannot be read."""
    log = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            try:
                record = os.read(log, _LONGEST)
            except BlockingIOError:
                return
            except BrokenPipeError:
                # The record was overwritten before it was read; the next one is the oldest now.
                continue
            if not record:
                return
            yield record
    finally:
        os.close(log)
