"""The interface files of each limit of a container, and which texts its declaration makes right."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from cgbench.errors import CgroupError
from cgbench.host.cgroups import Cgroup
from cgbench.judging.audit import BESIDE, MANNERS_OF
from cgbench.judging.seen import OPTION_OF, File
from cgbench.judging.throttles import THROTTLES, Throttles, throttled
from cgbench.records.audit import LimitName
from cgbench.spec.option import Settings
from cgbench.spec.options import option


def device_rates(config: Mapping[str, object], root: Path) -> dict[str, dict[str, int]]:
    """Return which devices are to be throttled, by their numbers; one that is gone has none."""
    found: dict[str, dict[str, int]] = {}
    for key in THROTTLES:
        entries = config.get(key)
        for entry in entries if isinstance(entries, list) else ():
            path, rate = entry.get("Path"), entry.get("Rate")
            if isinstance(path, str) and isinstance(rate, int) and rate > 0:
                with suppress(OSError):
                    number = (root / path.lstrip("/")).stat().st_rdev
                    device = f"{os.major(number)}:{os.minor(number)}"
                    found.setdefault(key, {})[device] = rate
    return found


def throttle_files(cgroup: Cgroup, throttles: Throttles) -> tuple[File, ...]:
    """Read the files that throttle devices: those of this kernel, and where it has none, `io.max`
    where one is wanted.
    """
    try:
        texts = {
            name: cgroup.read("io", name)
            for name in ("io.max", *(file for file, _key in THROTTLES.values()))
        }
    except CgroupError:
        return ()
    found = []
    for name, text in texts.items():
        wanted = throttled(name, throttles)
        absent = name == "io.max" and wanted and not any(one is not None for one in texts.values())
        if text is not None or absent:
            found.append(File(cgroup.name("io", name), text, (wanted,) if wanted else ()))
    return tuple(found)


def files_of(name: LimitName, cgroup: Cgroup, settings: Settings) -> tuple[File, ...]:
    """Read the interface files of one limit; none where the kernel has no such controller."""
    try:
        kept = option(OPTION_OF[name]).kept_in(cgroup)
    except CgroupError:
        return ()
    found = []
    for one in kept:
        expected = (one.expected(settings), one.otherwise(settings) if one.otherwise else None)
        path = cgroup.name(one.controller, one.file)
        text = cgroup.read(one.controller, one.file)
        right = tuple(dict.fromkeys(text for text in expected if text is not None))
        found.append(File(path, None if text is None else text.strip(), right))
    found += _manners(name, cgroup, settings)
    for controller, file, untouched in BESIDE.get(name, ()):
        if (text := cgroup.read(controller, file)) is not None:
            found.append(File(cgroup.name(controller, file), text.strip(), (untouched,)))
    return tuple(found)


def _manners(name: LimitName, cgroup: Cgroup, settings: Settings) -> Iterator[File]:
    """Yield what is declared beside a limit; where this kernel has no file for it, it is absent."""
    for one in MANNERS_OF.get(name, ()):
        manner = option(one)
        # A kernel that has none would have it by v1's name.
        for kept in manner.kept_in(cgroup) or manner.interfaces(1):
            right = kept.expected(settings)
            if right is not None:
                text = cgroup.read(kept.controller, kept.file)
                yield File(cgroup.name(kept.controller, kept.file), text, (right,))
    if name == "memory":
        yield from _killer(cgroup, settings)


def _killer(cgroup: Cgroup, settings: Settings) -> Iterator[File]:
    """Yield whether anybody is killed for a memory limit: one line of its file is a setting."""
    disabled = "oom-kill-disable" in settings
    text = cgroup.read("memory", "memory.oom_control")
    if text is not None or disabled:
        lines = [one for one in (text or "").split("\n") if one.startswith("oom_kill_disable ")]
        yield File(
            cgroup.name("memory", "memory.oom_control"),
            lines[0] if lines else None,
            (f"oom_kill_disable {int(disabled)}",),
        )
