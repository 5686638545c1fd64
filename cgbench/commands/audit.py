"""The limits of containers that others started: read, judged, and left as they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from cgbench.commands import limit_files
from cgbench.commands.chosen import PROJECT, SERVICE, Wanted, chosen
from cgbench.engine.engine import Engine
from cgbench.engine.facts import Inspected, Listed
from cgbench.errors import CgroupError, EngineError
from cgbench.host import (
    cgroups,
    confines,
    container_group,
    counts,
    description,
    io_control,
    procfs,
    systemd,
)
from cgbench.host.container_group import ContainerGroup
from cgbench.judging.audit import limits
from cgbench.judging.declaration import declared_by
from cgbench.judging.seen import OPTION_OF, Moved, Seen, UserLimit
from cgbench.judging.throttles import Throttles
from cgbench.records.audit import Audit, Audited, Found, LimitName
from cgbench.records.confines import Group, cpu_list
from cgbench.spec.option import Settings
from cgbench.units import NS_PER_S, NS_PER_US

_MANAGERS = (
    (PROJECT, "compose project {}"),
    ("com.docker.swarm.service.name", "swarm service {}"),
    ("io.kubernetes.pod.name", "pod {}"),
    ("cgbench.run", "cgbench run {}"),
)


@dataclass(frozen=True)
class Place:
    """Where the kernel is read: another root holds a captured tree."""

    proc: Path = procfs.PROC
    root: Path = Path("/")


@dataclass
class _Read:
    """One container half way: what it used at the first look, and its group."""

    listed: Listed
    settings: Settings = field(default_factory=dict)
    throttles: Throttles = field(default_factory=dict)
    managed: Settings = field(default_factory=dict)
    group: ContainerGroup | None = None
    pid: int = 0
    before: Mapping[str, int] = field(default_factory=dict)
    t_ns: int = 0
    unread: str | None = None


def audit(
    wanted: Wanted,
    engine: Engine,
    for_s: float = 0.0,
    place: Place | None = None,
    sleep: Callable[[float], None] = time.sleep,
    composed: Mapping[str, Settings] = MappingProxyType({}),
) -> Audit:
    """Read the limits of containers, twice if `for_s` seconds of use are wanted.

    `composed` are limits that a compose file declares, by service.

    Raises EngineError on a name that no container has, or several have.
    """
    place, begin = place or Place(), time.monotonic()
    at = datetime.now(UTC).isoformat(timespec="seconds")
    found = audited(chosen(wanted, engine), engine, place, for_s, sleep, composed)
    order = list(Found)
    found.sort(key=lambda one: (
        one.worst.good, one.unread is None, order.index(one.worst), one.name,
    ))  # fmt: skip
    return Audit(
        hostname=description.hostname(),
        at=at,
        seconds=round(time.monotonic() - begin, 3),
        containers=tuple(found),
    )


def with_elsewhere(found: Audit, engine: Engine) -> Audit:
    """Add what was measured of these limits' options on the host of the atlas most like this one.

    Raises EngineError where the daemon does not say what it is.
    """
    # Here and not above: most audits need neither the rows nor what judges them.
    from cgbench.commands import atlas
    from cgbench.records.atlas import shipped

    asked = {
        OPTION_OF[limit.limit]
        for container in found.containers
        for limit in container.limits
        if limit.limit in OPTION_OF and limit.declared is not None
    }
    host = description.describe(engine.describe())
    return found.model_copy(update={"elsewhere": atlas.nearest(host, shipped(), asked)})


def audited(
    listed: Sequence[Listed],
    engine: Engine,
    place: Place,
    for_s: float = 0.0,
    sleep: Callable[[float], None] = time.sleep,
    composed: Mapping[str, Settings] = MappingProxyType({}),
) -> list[Audited]:
    """Read the limits of containers that the daemon listed, in the same order."""
    mounted = cgroups.mount_points(place.proc)
    asked = engine.inspected_ahead([one.container_id for one in listed])
    read = [
        _looked_at(one, inspect, place, mounted, over=for_s > 0)
        for one, inspect in zip(listed, asked, strict=True)
    ]
    if for_s > 0 and read:
        sleep(for_s)
    host = _Host.read(place)
    for one in read:
        one.managed = composed.get(one.listed.labels.get(SERVICE, ""), {})
    above = confines.Above()
    return [_audited(one, host, place, above, over=for_s > 0) for one in read]


def write(
    found: Audit,
    junit: Path | None,
    markdown: Path | None,
    page: Path | None = None,
) -> None:
    """Write an audit in the forms asked for. Raises StoreError when one cannot be written."""
    # Here and not above: all these need much that an audit does without.
    from cgbench.records import writing

    if junit is not None:
        from cgbench.reporting import junit as as_junit

        writing.write_named(junit, as_junit.of_audit(found))
    if markdown is not None:
        from cgbench.reporting import markdown as as_markdown

        writing.write_named(markdown, as_markdown.of_audit(found))
    if page is not None:
        from cgbench.reporting.render import write_audit

        write_audit(found, page)


@dataclass(frozen=True)
class _Host:
    cpus: tuple[int, ...]
    memory: int | None
    weighs_io: bool | None
    default_tasks: int | None

    @classmethod
    def read(cls, place: Place) -> _Host:
        online = _text(place.root / "sys/devices/system/cpu/online")
        cpus = description.cpu_numbers()
        if online is not None:
            cpus = cpu_list(online) or cpus
        memory = procfs.memory(place.proc).get("MemTotal")
        return cls(cpus, memory, _weighs_io(place), systemd.default_tasks())


def _weighs_io(place: Place) -> bool | None:
    """Say whether a block device here heeds weights: by bfq, or by a cost model of v2."""
    schedulers = [
        _text(path) for path in (place.root / "sys/block").glob("*/queue/scheduler")
    ]  # fmt: skip
    if not schedulers:
        return None
    if any("[bfq]" in (text or "") or "[cfq]" in (text or "") for text in schedulers):
        return True
    return io_control.has_cost_model(place.proc, place.root)


def _looked_at(
    listed: Listed, inspect: Callable[[], Inspected | None], place: Place,
    mounted: Mapping[str, tuple[str, str]], *, over: bool,
) -> _Read:  # fmt: skip
    """Take what Docker says is declared, find the group, and read what was used until now."""
    found = _Read(listed)
    try:
        inspected = inspect()
        if inspected is None:
            found.unread = "it was removed while it was read"
            return found
        found.settings = declared_by(inspected.host_config)
        found.throttles = limit_files.device_rates(inspected.host_config, place.root)
        found.pid = inspected.pid
        if inspected.pid <= 0:
            found.unread = f"it is {listed.state}: the kernel holds nothing of it"
            return found
        parent = str(inspected.host_config.get("CgroupParent") or "")
        found.group = container_group.find(
            inspected.pid, listed.container_id, parent, place.proc, place.root, mounted
        )
        if found.group is None:
            found.unread = (
                f"Docker says that it runs as process {inspected.pid}, and no group here is named "
                "by its identity: the daemon is another host's, or the group is gone, and nobody "
                "may see whose process that is"
            )
            return found
        if over:
            found.t_ns, found.before = time.monotonic_ns(), counts.counts(found.group.cgroup)
    except (CgroupError, EngineError) as error:
        found.unread = error.message
    return found


def _audited(
    one: _Read, host: _Host, place: Place, above: confines.Above, *, over: bool
) -> Audited:
    listed = one.listed
    head = {
        "id": listed.container_id, "name": listed.name, "image": listed.image,
        "state": listed.state, "manager": _manager(listed.labels),
    }  # fmt: skip
    group = one.group
    if group is None:
        return Audited(**head, unread=one.unread or "it was not read")
    cgroup = group.cgroup
    try:
        # Processes first: where none is left, the group went with them, and so do its files.
        processes = group.processes()
        held = confines.read(cgroup, place.proc, place.root, processes=processes, above=above)
        files = {name: limit_files.files_of(name, cgroup, one.settings) for name in OPTION_OF}
        moved = _moved(one, group, place, above)
        files["device-throttle"] = limit_files.throttle_files(cgroup, one.throttles)
        now, t_ns = counts.counts(cgroup), time.monotonic_ns()
    except CgroupError as error:
        return Audited(**head, unread=error.message)
    if not (processes or group.astray) or not group.is_there():
        return Audited(**head, unread="it ended while it was read")
    seconds = (t_ns - one.t_ns) / NS_PER_S if over else None
    seen = Seen(
        settings=one.settings,
        files=files,
        confines=held,
        cpus=host.cpus,
        memory=host.memory,
        weighs_io=host.weighs_io,
        default_tasks=host.default_tasks,
        felt=_felt(one, now, seconds),
        throttles=one.throttles,
        user=_user_limit(processes, place.proc, usual="pids-limit" in one.settings),
        managed=one.managed,
        moved=moved,
        pid=one.pid,
    )
    return Audited(**head, limits=limits(seen))


def _moved(
    one: _Read, group: ContainerGroup, place: Place, above: confines.Above
) -> dict[str, Moved]:
    """Return which processes are in other groups, and what confines them there."""
    found = {}
    for controllers, strays in container_group.strays(
        group, one.pid, one.listed.container_id
    ).items():
        paths, pid = tuple(dict.fromkeys(strays.paths.values())), min(strays.paths)
        groups: tuple[Group, ...] = ()
        if not strays.inside and len(paths) == 1:
            # One that has ended is nowhere, and what binds there is not known.
            with suppress(CgroupError):
                there = cgroups.find(pid, place.proc, place.root).of(controllers)
                groups = confines.read(
                    there, place.proc, place.root, processes=(), above=above
                ).groups
        number = len(strays.paths)
        found[controllers] = Moved(number, number + strays.inside, paths, pid, groups)
    return found


def _user_limit(processes: Sequence[int], proc: Path, *, usual: bool) -> UserLimit | None:
    """Return the lowest RLIMIT_NPROC of some processes that the kernel heeds.

    Without `usual`, not one as high as what the host's first process has and hands down.
    """
    first = None if usual else procfs.credentials(1, proc)
    most = None if first is None else first.most_tasks
    found = []
    for pid in processes:
        seen = procfs.credentials(pid, proc)
        if seen is None or seen.most_tasks is None or seen.exempt:
            continue
        if most is None or seen.most_tasks < most:
            found.append(UserLimit(seen.uid, pid, seen.most_tasks))
    return min(found, key=lambda one: one.tasks, default=None)


def _manager(labels: Mapping[str, str]) -> str | None:
    return next((words.format(labels[key]) for key, words in _MANAGERS if key in labels), None)


def _felt(
    one: _Read, now: Mapping[str, int], seconds: float | None
) -> dict[LimitName, dict[str, float | None]]:
    """Return what was felt of each limit since the group began, and over the last `seconds`.

    What the kernel does not count is None.
    """
    period_us = int(one.settings.get("cpu-period", 0) or 100_000)
    periods, throttled = now.get("periods"), now.get("throttled_periods")
    stood, whole_ns = now.get("throttled_ns"), (periods or 0) * period_us * NS_PER_US
    used = _grown(one.before, now, "usage_ns")
    return {
        "cpus": {
            "throttled_periods_pct": _pct(throttled, periods),
            "throttled_time_pct": _pct(stood, whole_ns),
            "cpus_used": None if seconds is None or used is None else used / seconds / NS_PER_S,
        },
        "memory": {
            "memory_bytes": _float(now.get("memory_bytes")),
            "limit_hits": _float(now.get("limit_hits")),
            "oom_kills": _float(now.get("oom_kills")),
            "refaults": _float(now.get("refaults")),
            "major_faults": _float(now.get("major_faults")),
        },
        "memory-swap": {"swap_bytes": _float(now.get("swap_bytes"))},
        "pids": {
            "tasks": _float(now.get("tasks")),
            "refused_forks": _float(now.get("refused_forks")),
        },
    }


def _pct(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else 100 * part / whole


def _float(value: int | None) -> float | None:
    return None if value is None else float(value)


def _grown(before: Mapping[str, int], now: Mapping[str, int], name: str) -> int | None:
    if name not in before or name not in now or now[name] < before[name]:
        return None
    return now[name] - before[name]


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None
