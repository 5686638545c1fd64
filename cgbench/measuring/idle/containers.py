"""Idle containers to try limits on: started ahead of need, read back whole, always removed.

They only sleep, so they have no caps that would stand in the way of the limits under test, but
everything else that keeps a container harmless: no network, no capabilities, and a deadline. If
cgbench is killed while one has the restart policy `always`, Docker starts it again and again; only
`cgbench clean` ends that.
"""

from __future__ import annotations

import errno
import itertools
import json
import re
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from cgbench.engine.connection import Answer
from cgbench.engine.container_spec import ContainerSpec
from cgbench.engine.engine import SLOW_START_S
from cgbench.errors import CgroupError, EngineError
from cgbench.host import cgroups, interrupts
from cgbench.host.scratch import ownership
from cgbench.host.scratch.commands import undisturbed
from cgbench.measuring import own_process
from cgbench.measuring.site import Progress, Site, silent
from cgbench.records.idle_findings import Difference, Held, Outcome
from cgbench.spec.option import Interface, Option
from cgbench.spec.options import update_body

DEADLINE_S = 1800
"""An idle container ends by itself after this many seconds, whatever becomes of cgbench."""

HANDS = 3
"""So many containers are started or removed at a time where nothing is tried meanwhile."""

# A container's word on its own end: how long Docker may lag behind the kernel.
_LAG_S = 2.0

# As docker's command line starts containers; its API alone would leave the policy empty.
_USUAL = update_body({"restart": "no"})

_ID = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


@dataclass(frozen=True)
class Limits:
    """Everything that limits one container at one moment: by field of HostConfig, and by file."""

    declared: Mapping[str, str]
    enforced: Mapping[str, str]

    def differences(self, later: Limits) -> tuple[Difference, ...]:
        """Return where `later` is not what this is; files only if both have some."""
        files = (self.enforced, later.enforced) if self.enforced and later.enforced else ({}, {})
        return tuple(
            Difference(
                layer=layer, where=where, before=before.get(where), after=after.get(where)
            )
            for layer, before, after in (
                ("declared", self.declared, later.declared),
                ("enforced", *files),
            )
            for where in sorted({*before, *after})
            if before.get(where) != after.get(where)
        )  # fmt: skip


class Idle:
    """One idle container: what limits it, as Docker declares and as the kernel enforces."""

    def __init__(self, site: Site, container_id: str) -> None:
        self._site = site
        self.container_id = container_id
        self.find()

    def find(self) -> bool:
        """Find its cgroup again, as after a restart; say whether the container runs.

        One that does not keeps only what Docker declares. Raises CgroupError when its cgroup
        cannot be found, DockerUnavailable where its process is not this host's.
        """
        self._cgroup: cgroups.Cgroup | None = None
        self._files: Mapping[str, Path] = {}
        state = self._site.engine.state(self.container_id)
        if state is None or not state.running:
            return False
        try:
            own = own_process.is_own(state.pid, self.container_id, self._site.proc)
            cgroup = cgroups.find(state.pid, self._site.proc, self._site.root)
            files = cgroup.limit_files()
        except (CgroupError, OSError):
            if self._ends():
                return False
            raise
        if not own:
            if self._ends():
                return False
            if self._site.engine.state(self.container_id) != state:
                return self.find()
            raise own_process.foreign(state.pid, self.container_id)
        self._cgroup, self._files = cgroup, files
        return True

    def _ends(self) -> bool:
        """Say whether it has ended, which the daemon learns a little later than we do."""
        limit = time.monotonic() + _LAG_S
        while (state := self._site.engine.state(self.container_id)) and state.running:
            if time.monotonic() > limit:
                return False
            time.sleep(0.02)
        return True

    @property
    def cgroup(self) -> cgroups.Cgroup:
        """Its cgroup. Raises CgroupError when it does not run."""
        if self._cgroup is None:
            raise CgroupError(f"the container {self.container_id[:12]} does not run")
        return self._cgroup

    def interfaces(self, option: Option) -> tuple[Interface, ...]:
        """Return the interface files of an option, its own first; none without its controller."""
        try:
            return option.kept_in(self.cgroup)
        except CgroupError:
            return ()

    def file(self, option: Option) -> str | None:
        """Return the name of an option's own interface file, None where this kernel has none."""
        own = self.interfaces(option)[:1]
        return own[0].file if own and own[0].file in self._files else None

    def limits(self) -> Limits:
        """Read everything that limits it now; no files where it does not run."""
        config = self._site.engine.host_config(self.container_id)
        declared = {name: json.dumps(value, sort_keys=True) for name, value in config.items()}
        enforced = {}
        for name, path in self._files.items():
            try:
                enforced[name] = path.read_text(errors="replace").strip()
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENODEV) and self._ends():
                    return Limits(declared, {})
                # Some files are there and refuse to be read, as those of a scheduler not in use.
                continue
        return Limits(declared, enforced)

    def held(self, option: Option, limits: Limits | None = None) -> Held:
        """Return one option's value now, or in a reading taken before."""
        limits = self.limits() if limits is None else limits
        file = self.file(option)
        return Held(
            declared=limits.declared.get(option.field),
            enforced=None if file is None else limits.enforced.get(file),
        )


class Stopped(Exception):
    """What was measured with a supply need not go on: something else failed beside it."""


class Supply:
    """Hands out fresh idle containers. Threads of its own, `hands` of them, start and remove them.

    Used as a context manager: on the way out everything it started is removed. `ahead` containers
    are kept ready. `progress` shows what is tried next. After `stop`, which any thread may call, it
    hands out nothing more.
    """

    def __init__(
        self, site: Site, ahead: int = 2, progress: Progress = silent, hands: int = 1
    ) -> None:
        self.site, self.progress = site, progress
        self._numbers = itertools.count()
        self._owner = str(ownership.this_process())
        self._ahead = ahead
        self._threads = ThreadPoolExecutor(hands, "cgbench-idle")
        self._ready: deque[Future[Idle]] = deque()
        self._alive: set[str] = set()
        self._lock = threading.Lock()
        self._surprises: list[BaseException] = []
        self._stopped = threading.Event()

    def __enter__(self) -> Supply:
        self._order(self._ahead)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        refused: list[EngineError] = []
        with undisturbed():
            # At most one request of each is under way, and each has a limit.
            self._threads.shutdown(wait=True, cancel_futures=True)
            with ThreadPoolExecutor(HANDS, "cgbench-idle-removal") as hands:
                removals = [hands.submit(self._remove, one) for one in tuple(self._alive)]
            for removal in removals:
                try:
                    removal.result()
                except EngineError as refusal:
                    refused.append(refusal)
        # What is on its way already says more.
        if error is None and (first := [*self._surprises, *refused][:1]):
            raise first[0]

    def stop(self) -> None:
        """Have whoever asks for a container next end with Stopped."""
        self._stopped.set()

    def _require_going(self) -> None:
        interrupts.require_none()
        if self._stopped.is_set():
            raise Stopped

    def take(self) -> Idle:
        """Return a container that nobody has touched. Raises EngineError where none starts."""
        return self.take_all(1)[0]

    def take_all(self, number: int) -> list[Idle]:
        """Return several such containers; while they are taken, as many are started ahead."""
        self._require_going()
        taken: list[Idle] = []
        self._order(number)
        while len(taken) < number:
            idle = self._ready.popleft().result()
            # It may have waited past its deadline.
            if idle.find():
                taken.append(idle)
            else:
                self.give_back(idle)
                self._order(1)
        return taken

    def _order(self, number: int) -> None:
        self._ready.extend(self._threads.submit(self._start) for _ in range(number))

    def give_back(self, idle: Idle) -> None:
        """Have a container removed, when there is time."""
        self._remove_later(idle.container_id)

    @contextmanager
    def fresh(self) -> Iterator[Idle]:
        """Yield a container that nobody has touched, and take it away again."""
        idle = self.take()
        try:
            yield idle
        finally:
            self.give_back(idle)

    @contextmanager
    def created(
        self, raw: Mapping[str, object], *, outlasts_stop: bool = False
    ) -> Iterator[tuple[Answer, Idle | None]]:
        """Create a container with fields of HostConfig, not started; yield the answer, and it.

        With `outlasts_stop` it ends only when `docker stop` loses patience, or by a kill.
        """
        self._require_going()
        spec = replace(self._spec(raw), outlasts_stop=outlasts_stop)
        with undisturbed():
            creation = self.site.engine.create(spec)
            if creation.container_id is not None:
                self._know(creation.container_id)
        if creation.container_id is None:
            yield creation.answer, None
            return
        try:
            yield creation.answer, Idle(self.site, creation.container_id)
        finally:
            self._remove_later(creation.container_id)

    @contextmanager
    def born(self, raw: Mapping[str, object]) -> Iterator[tuple[Answer, Idle | None]]:
        """Start a container with fields of HostConfig; yield the answer, and it if it runs.

        The answer is that of the refusal, of whichever step, or that of its creation.
        """
        with self.created(raw) as (answer, idle):
            if idle is None:
                yield answer, None
                return
            started = self.site.engine.command(idle.container_id, "start", limit_s=SLOW_START_S)
            if started.refusal is not None:
                yield started, None
                return
            idle.find()
            yield answer, idle

    def _start(self) -> Idle:
        engine = self.site.engine
        creation = engine.create(self._spec({}))
        if creation.container_id is None:
            raise EngineError(f"cannot create an idle container: {creation.answer.refusal}")
        self._know(creation.container_id)
        started = engine.command(creation.container_id, "start")
        if started.refusal is not None:
            raise EngineError(f"cannot start an idle container: {started.refusal}")
        return Idle(self.site, creation.container_id)

    def _spec(self, raw: Mapping[str, object]) -> ContainerSpec:
        """Return what an idle container is, born with the given fields of HostConfig."""
        return ContainerSpec(
            name=f"cgbench-{self.site.run}-idle-{next(self._numbers)}",
            image=self.site.image,
            argv=(),
            run=self.site.run,
            options={},
            memory=None,
            pids=None,
            deadline_s=DEADLINE_S,
            probe=None,
            owner=self._owner,
            raw={**_USUAL, **raw},
        )

    def _know(self, container_id: str) -> None:
        with self._lock:
            self._alive.add(container_id)

    def _remove_later(self, container_id: str) -> None:
        self._threads.submit(self._remove, container_id).add_done_callback(self._look_at)

    def _look_at(self, removal: Future[None]) -> None:
        """Keep an error that nobody waits for; where Docker refused, it is asked again later."""
        error = None if removal.cancelled() else removal.exception()
        if error is not None and not isinstance(error, EngineError):
            self._surprises.append(error)

    def _remove(self, container_id: str) -> None:
        self.site.engine.remove(container_id)
        with self._lock:
            self._alive.discard(container_id)


def outcome(answer: Answer) -> Outcome:
    """Return the daemon's answer in a word."""
    if answer.refusal is not None:
        return "rejected"
    return "warned" if answer.warnings else "accepted"


def words(answer: Answer) -> str:
    """Return what the daemon said in one line, ids shortened as it does; empty if it obeyed."""
    said = "; ".join(answer.warnings) if answer.refusal is None else answer.refusal
    return _ID.sub(r"\1", " ".join(said.split()))
