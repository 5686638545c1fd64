"""One container that is watched: its open files, what it may use, and what it uses."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from cgbench.engine.facts import Listed
from cgbench.errors import CgroupError
from cgbench.host import interface_files
from cgbench.host.cgroups import Cgroup
from cgbench.host.watched_group import WatchedGroup
from cgbench.judging.audit import BESIDE
from cgbench.judging.seen import OPTION_OF
from cgbench.records.audit import Audited, Limit, LimitName
from cgbench.records.watch import Reading
from cgbench.spec.counters import Counter
from cgbench.spec.options import option
from cgbench.units import NS_PER_S

_COUNTERS = ("usage_ns", "periods", "throttled_periods", "memory_bytes", "oom_kills", "tasks")
_REFUSED = Counter("refused_forks", "pids", "pids.events", "max", 1, "")


@dataclass
class Seen:
    """One container that runs: its open files, what it may use, and the counters of two looks.

    `limits` and `counters` are by the path of a file, `above` the directories of groups above.
    """

    listed: Listed
    group: WatchedGroup
    limits: dict[str, LimitName]
    counters: dict[str, list[Counter]]
    above: tuple[str, ...]
    audited: Audited
    values: dict[str, int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    t_ns: int = 0
    t_before_ns: int = 0


def limit_files(cgroup: Cgroup) -> dict[str, LimitName]:
    """Return the paths of the interface files of all limits."""
    found: dict[str, LimitName] = {}
    for name, flag in OPTION_OF.items():
        with suppress(CgroupError):
            for one in option(flag).kept_in(cgroup):
                found.setdefault(str(cgroup.path(one.controller, one.file)), name)
            for controller, file, _untouched in BESIDE.get(name, ()):
                found.setdefault(str(cgroup.path(controller, file)), name)
    return found


def counter_files(cgroup: Cgroup) -> dict[str, list[Counter]]:
    """Return the paths of the counters that are looked at; one file may have several."""
    found: dict[str, list[Counter]] = {}
    for one in (*cgroup.counters(), _REFUSED):
        if one.name in (*_COUNTERS, _REFUSED.name):
            with suppress(CgroupError):
                found.setdefault(str(cgroup.path(one.controller, one.file)), []).append(one)
    return found


def count(one: Seen, t_ns: int, texts: Mapping[str, bytes]) -> None:
    """Take in the counters of a look; those whose file did not change stay as they were."""
    one.before, one.t_before_ns = dict(one.values), one.t_ns
    one.t_ns = t_ns
    for path, text in texts.items():
        counters = one.counters.get(path)
        if counters:
            values = interface_files.parse(counters[0].file, text)
            for counter in counters:
                found = values.get(counter.column)
                if isinstance(found, int):
                    one.values[counter.name] = found * counter.scale


def reading(one: Seen, least_s: float = 0.0) -> Reading:
    """Return what a container used since the look before, and may use.

    Looks less than `least_s` seconds apart give no rates.
    """
    values, seconds = one.values, (one.t_ns - one.t_before_ns) / NS_PER_S
    used, periods, stood = (
        grown(one, name) if seconds >= least_s else None
        for name in ("usage_ns", "periods", "throttled_periods")
    )
    most = {limit.limit: limit.effective for limit in one.audited.limits}
    return Reading(
        id=one.listed.container_id,
        name=one.listed.name,
        state=one.listed.state,
        cpus=None if used is None or seconds <= 0 else used / seconds / NS_PER_S,
        cpus_limit=_number(most.get("cpus")),
        throttled_pct=None if not periods or stood is None else 100 * stood / periods,
        memory_bytes=values.get("memory_bytes"),
        memory_limit=_number(most.get("memory")),
        tasks=values.get("tasks"),
        tasks_limit=_number(most.get("pids")),
        kills=values.get("oom_kills"),
        refused_forks=values.get("refused_forks"),
    )


def grown(one: Seen, name: str) -> int | None:
    """Return how much a counter grew since the look before, None where that is not known."""
    if not one.t_before_ns or name not in one.before or one.values[name] < one.before[name]:
        return None
    return one.values[name] - one.before[name]


def _number(value: object) -> float | None:
    return value if isinstance(value, float) else None


def text(content: bytes | None) -> str | None:
    """Return a file's content as text."""
    return None if content is None else content.decode(errors="replace").strip()


def effective(limit: Limit) -> str:
    """Return what can be had of a limit, as text."""
    return "no limit" if limit.effective is None else f"{limit.effective}"
