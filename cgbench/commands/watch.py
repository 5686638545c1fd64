"""Containers that others started, looked at again and again: what they use, and what changed.

Interface files stay open, and Docker is asked only where something changed, so that hundreds of
containers cost little. Nothing is changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cgbench.commands import audit, tolls, watched
from cgbench.commands.audit import Place
from cgbench.commands.chosen import Wanted, chosen, labelled
from cgbench.commands.happenings import Happenings
from cgbench.commands.tolls import Tolls
from cgbench.commands.why import Sources, why
from cgbench.engine.engine import Engine
from cgbench.engine.event_feed import EventFeed
from cgbench.engine.facts import Listed
from cgbench.errors import CgroupError, EngineError
from cgbench.host import cgroups, confines, container_group
from cgbench.host.watched_group import Texts, WatchedGroup, may_open
from cgbench.records.audit import Limit, LimitName
from cgbench.records.cause import DockerEvent, What
from cgbench.records.watch import Look, Mark, MarkKind, Reading

TIMEOUT_S = 5.0
"""How long one answer of the daemon may take here."""

_RETRY_S = 1.0
# A rate over less than this part of the time between looks is mostly chance.
_LEAST_OF_PERIOD = 0.5
# What Docker's answers, /proc and all else need.
_SPARE_FILES = 256


class Watch:
    """Looks at containers, again whenever `look` is called; used as a context manager.

    It is called every `every_s` seconds; looks much closer together than that give no rates.
    `connect` makes the engine, also a new one after its daemon went away. Entering it raises
    EngineError where no daemon answers, or a name is no container's.
    """

    def __init__(
        self,
        wanted: Wanted,
        connect: Callable[[], Engine],
        place: Place | None = None,
        wall: Callable[[], float] = time.time,
        every_s: float = 0.0,
    ) -> None:
        self._wanted, self._connect, self._wall = wanted, connect, wall
        self._least_s = _LEAST_OF_PERIOD * every_s
        self._place = place or Place()
        self._engine: Engine | None = None
        self._feed: EventFeed | None = None
        self._seen: dict[str, watched.Seen] = {}
        self._other: dict[str, Listed] = {}
        self._groups: dict[str, WatchedGroup] = {}
        self._happened = Happenings(wall)
        self._tolls = Tolls()
        self._found: list[Mark] = []
        self._away_since: float | None = None
        self._tried_at = 0.0
        self._may_open = 0
        self._mounted: Mapping[str, tuple[str, str]] = {}

    def __enter__(self) -> Watch:
        self._may_open = may_open() - _SPARE_FILES
        self._mounted = cgroups.mount_points(self._place.proc)
        try:
            self._reach()
            # A name or label that is nobody's is told now, and waited for later.
            assert self._engine is not None
            chosen(self._wanted, self._engine)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()
        for group in (*self._groups.values(), *(one.group for one in self._seen.values())):
            group.close()

    def look(self) -> Look:
        """Return how every container is now, and what changed since the last look."""
        marks: list[Mark] = []
        self._heed_daemon(marks)
        self._happened.hear(self._feed)
        self._heed(self._happened.fresh(), marks)
        above = {path: found for path, group in self._groups.items() if (found := group.look())}
        for one in list(self._seen.values()):
            self._look_at(one, above, marks)
        for path, texts in above.items():
            marks += self._of_group(path, texts)
        marks += self._found
        self._found = []
        readings = [watched.reading(one, self._least_s) for one in self._seen.values()]
        readings += [
            Reading(id=one.container_id, name=one.name, state=one.state)
            for one in self._other.values()
        ]
        # Some were made while it was looked for the causes of others.
        marks.sort(key=lambda one: one.at)
        return Look(at=self._now(), readings=tuple(readings), marks=tuple(marks))

    # The daemon

    def _reach(self) -> None:
        """Connect, and find the containers. Raises EngineError where no daemon answers."""
        self._engine = self._connect()
        # Before they are listed: what starts meanwhile is found twice, and not missed.
        self._feed = self._engine.chronicle.follow()
        listed = self._chosen(self._engine)
        found = {one.container_id for one in listed}
        for gone in [one for one in self._seen if one not in found]:
            self._drop(gone)
        self._other = {key: one for key, one in self._other.items() if key in found}
        for one in listed:
            self._take_in(one, self._engine)

    def _chosen(self, engine: Engine) -> list[Listed]:
        """Return the containers that are wanted and there."""
        if not self._wanted.names:
            return labelled(self._wanted, engine.listed())
        every, names = engine.listed(stopped=True), self._wanted.names
        called = {one.name for one in every}
        # A name of letters up to f may begin another one's identity.
        begun = tuple(name for name in names if name not in called)
        return [
            one
            for one in every
            if one.name in names or (begun and one.container_id.startswith(begun))
        ]

    def _leave(self) -> None:
        if self._feed is not None:
            self._feed.close()
        if self._engine is not None:
            self._engine.close()
        self._feed = self._engine = None

    def _heed_daemon(self, marks: list[Mark]) -> None:
        """Note that the daemon went away, or is back; what it started goes on meanwhile."""
        if self._feed is not None and self._feed.broken is not None:
            marks.append(
                Mark(
                    kind="daemon gone",
                    at=self._now(),
                    reason=f"{self._feed.broken}; waiting for it",
                )
            )
            self._happened.hear(self._feed)
            self._away_since = self._wall()
            self._leave()
        if self._engine is not None or time.monotonic() - self._tried_at < _RETRY_S:
            return
        self._tried_at = time.monotonic()
        try:
            self._reach()
        except EngineError:
            self._leave()
        else:
            back_at = self._happened.daemon_is_back()
            said = f"it was away for {back_at - (self._away_since or back_at):.0f} s"
            marks.append(Mark(kind="daemon back", at=self._now(), reason=said))

    def _heed(self, events: list[DockerEvent], marks: list[Mark]) -> None:
        for event in events:
            one, other = self._seen.get(event.container_id), self._other.get(event.container_id)
            if event.action == "start" and one is None:
                self._came(event, marks)
            elif event.action == "die" and (one is not None or other is not None):
                self._ended(event, marks)
            elif event.action == "destroy":
                self._drop(event.container_id)
                self._other.pop(event.container_id, None)
            elif event.action in ("pause", "unpause") and one is not None:
                state = "paused" if event.action == "pause" else "running"
                one.listed = replace(one.listed, state=state)

    def _came(self, event: DockerEvent, marks: list[Mark]) -> None:
        engine = self._engine
        if engine is None:
            return
        with suppress(EngineError):
            for one in self._chosen(engine):
                if one.container_id == event.container_id and self._take_in(one, engine):
                    marks.append(self._of(one, "came", "it was started"))

    def _ended(self, event: DockerEvent, marks: list[Mark]) -> None:
        seen = self._seen.get(event.container_id)
        listed = seen.listed if seen is not None else self._other[event.container_id]
        self._drop(event.container_id)
        self._other[event.container_id] = replace(listed, state="exited")
        for toll in tolls.EVERY:
            said = self._tolls.rest(
                event.container_id, toll, self._wall(), self._now()[11:19]
            )  # fmt: skip
            if said is not None:
                marks.append(self._of(listed, toll.kind, said))
        marks.append(self._explained(listed, "ended"))

    def _explained(
        self, listed: Listed, kind: MarkKind, words: str = "", whats: Collection[What] = tuple(What)
    ) -> Mark:
        """Return a mark that says why a container ended, or lost a process: now all is known.

        Only a cause of `whats` has to do with it.
        """
        mark = self._of(listed, kind, f"{words}Docker does not answer")
        if self._engine is None:
            return mark
        sources = Sources(self._place.proc, self._place.root)
        try:
            found = why(listed.container_id, self._engine, 0.0, sources)
        except (CgroupError, EngineError) as error:
            return mark.model_copy(update={"reason": f"{words}{error.message}"})
        cause = next((one for one in found.causes if one.what in whats), None)
        said = "nothing is known of why" if cause is None else cause.reason
        return mark.model_copy(update={"reason": f"{words}{said}", "cause": cause})

    # Containers

    def _take_in(self, listed: Listed, engine: Engine) -> bool:
        """Open the files of a container that runs, and say whether it was not known."""
        known = self._seen.get(listed.container_id)
        if known is not None:
            known.listed = listed
            return False
        self._other[listed.container_id] = listed
        try:
            inspected = engine.inspected(listed.container_id)
            if inspected is None or inspected.pid <= 0:
                return False
            own = container_group.find(
                inspected.pid, listed.container_id,
                str(inspected.host_config.get("CgroupParent") or ""), self._place.proc,
                self._place.root, self._mounted,
            )  # fmt: skip
            if own is None:
                return False
            cgroup = own.cgroup
            limits, counters = watched.limit_files(cgroup), watched.counter_files(cgroup)
            above = self._open_above(cgroup)
            group = self._opened({path: Path(path) for path in (*limits, *counters)})
            # Looked at before it is judged: what changes from here on is seen as a change.
            group.look()
            t_ns = time.monotonic_ns()
            (audited,) = audit.audited([listed], engine, self._place)
        except (CgroupError, EngineError):
            return False
        one = watched.Seen(listed, group, limits, counters, above, audited)
        watched.count(one, t_ns, group.texts)
        self._seen[listed.container_id] = one
        del self._other[listed.container_id]
        self._found += [self._finding(one, limit) for limit in audited.limits
                        if not limit.finding.good]  # fmt: skip
        return True

    def _open_above(self, cgroup: cgroups.Cgroup) -> tuple[str, ...]:
        """Open the files of all groups above, each once for all containers in it."""
        found = []
        for folder in cgroup.everywhere():
            for place in list(cgroups.upwards(folder))[1:]:
                path = str(place)
                if path not in self._groups:
                    self._groups[path] = self._opened(
                        {name: place / name for name in confines.FILES}
                    )
                    self._groups[path].look()
                found.append(path)
        return tuple(found)

    def _opened(self, files: Mapping[str, Path]) -> WatchedGroup:
        """Open files for good, as long as enough others may be opened beside them."""
        group = WatchedGroup(files, keep=self._may_open >= len(files))
        self._may_open -= group.kept_open
        return group

    def _drop(self, container_id: str) -> None:
        one = self._seen.pop(container_id, None)
        if one is not None:
            self._may_open += one.group.kept_open
            one.group.close()

    def _look_at(self, one: watched.Seen, above: Mapping[str, Texts], marks: list[Mark]) -> None:
        found, t_ns = one.group.look(), time.monotonic_ns()
        if found is None:
            # Docker tells of its end, perhaps a little later.
            self._drop(one.listed.container_id)
            self._other[one.listed.container_id] = replace(one.listed, state="ended")
            return
        watched.count(one, t_ns, {path: after for path, (_, after) in found.items()})
        for toll in tolls.EVERY:
            said = self._tolls.take(one, toll, self._wall(), self._now()[11:19])
            if said is not None:
                marks.append(self._explained(one.listed, toll.kind, f"{said}: ", toll.explained_by))
        changed = {path: texts for path, texts in found.items() if path in one.limits}
        if not changed and not any(path in above for path in one.above):
            return
        was = {limit.limit: limit for limit in one.audited.limits}
        # First, since Docker may have changed what it declares by the time it tells so.
        told = self._happened.just_before(self._feed, one.listed.container_id if changed else "")
        unjudged = self._judge(one)
        now = {limit.limit: limit for limit in one.audited.limits}
        for path, texts in changed.items():
            judged = now.get(one.limits[path]) if unjudged is None else None
            marks.append(self._of_file(one, path, texts, judged, told, unjudged))
        if not changed:
            marks += self._of_levels(one, was, now, told)

    def _judge(self, one: watched.Seen) -> str | None:
        """Judge the limits of a container anew; return why that is not possible, if so."""
        if self._engine is None:
            return "Docker does not answer, so nobody knows what is declared"
        try:
            (one.audited,) = audit.audited([one.listed], self._engine, self._place)
        except (CgroupError, EngineError) as error:
            return error.message
        return one.audited.unread

    # Marks

    def _finding(self, one: watched.Seen, limit: Limit) -> Mark:
        """Return a mark for a limit that is not what it says when it is first looked at."""
        return Mark(
            kind="differs", at=self._now(), id=one.listed.container_id, name=one.listed.name,
            limit=limit.limit, path=next(iter(limit.proven_by), None), finding=limit.finding,
            reason=limit.reason,
        )  # fmt: skip

    def _of_file(
        self, one: watched.Seen, path: str, texts: tuple[bytes | None, bytes], judged: Limit | None,
        told: str | None, unjudged: str | None,
    ) -> Mark:  # fmt: skip
        return Mark(
            kind="changed", at=self._now(), id=one.listed.container_id, name=one.listed.name,
            limit=one.limits[path], path=path, before=watched.text(texts[0]),
            after=watched.text(texts[1]),
            just_before=told, finding=None if judged is None else judged.finding,
            reason=unjudged or ("" if judged is None else judged.reason),
        )  # fmt: skip

    def _of_levels(
        self, one: watched.Seen, was: Mapping[LimitName, Limit], now: Mapping[LimitName, Limit],
        told: str | None,
    ) -> Iterator[Mark]:  # fmt: skip
        """Yield a mark for each limit that a change above made another one."""
        for name, limit in now.items():
            before = was.get(name)
            if before is not None and before.effective != limit.effective:
                yield Mark(
                    kind="changed", at=self._now(), id=one.listed.container_id,
                    name=one.listed.name, limit=name, path=limit.bound_by.path,
                    before=watched.effective(before), after=watched.effective(limit),
                    just_before=told, finding=limit.finding, reason=limit.reason,
                )  # fmt: skip

    def _of_group(self, path: str, texts: Texts) -> Iterator[Mark]:
        """Yield a mark for each file of a group above containers that has another text now."""
        for name, (before, after) in texts.items():
            yield Mark(
                kind="changed", at=self._now(), path=f"{path}/{name}", before=watched.text(before),
                after=watched.text(after), just_before=self._happened.just_before(self._feed, ""),
                reason="of a group above containers",
            )  # fmt: skip

    def _of(self, listed: Listed, kind: MarkKind, reason: str) -> Mark:
        return Mark(
            kind=kind, at=self._now(), id=listed.container_id, name=listed.name, reason=reason
        )

    def _now(self) -> str:
        return datetime.fromtimestamp(self._wall(), UTC).isoformat(timespec="milliseconds")
