"""Containers of one daemon: started, updated, inspected, and removed always."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from cgbench.engine import endpoint
from cgbench.engine.connection import INFO, TIMEOUT_S, Answer, Connection, containers
from cgbench.engine.daemon import Daemon
from cgbench.engine.facts import Creation, Inspected, Life, Listed, NamedAlike, State
from cgbench.engine.labels import LABEL, OWNER
from cgbench.errors import DockerUnavailable, EngineError, UpdateRejected
from cgbench.spec.option import Settings
from cgbench.spec.options import update_body

if TYPE_CHECKING:
    from cgbench.engine.chronicle import Chronicle
    from cgbench.engine.container_spec import ContainerSpec
    from cgbench.engine.images import Images
    from cgbench.engine.networks import Networks
    from cgbench.engine.program_spec import ProgramSpec
    from cgbench.engine.streams import EventStream, Stats, StatsStream

Command = Literal["start", "stop", "pause", "unpause", "restart"]
"""What a container can be told to do."""

UPDATE_TIMEOUT_S = 30.0
"""How long the daemon may take over an update: what comes later than this comes never."""

SLOW_START_S = 600.0
"""How long the daemon may take to start a container with hardly any CPU time.

What runs in it first is runc, by the same quota: of 1 %, on an emulated CPU, that takes minutes.
"""

_REMOVE_TIMEOUT_S = 30
# A name that no container has.
_NOBODY = "cgbench-nobody"


class Engine:
    """A Docker daemon on this host, over a connection that there is already, or one of its own.

    Raises DockerUnavailable where there is none to use.
    """

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        timeout_s: float = TIMEOUT_S,
        connection: Connection | None = None,
    ) -> None:
        self._connection = connection or Connection(endpoint.choose(environment), timeout_s)
        self.endpoint = self._connection.endpoint
        try:
            self._daemon = Daemon(self._connection.about, self._connection.document(INFO))
            self._daemon.require_usable(self.endpoint.words)
            self._require_update()
        except EngineError:
            self.close()
            raise

    @functools.cached_property
    def images(self) -> Images:
        """The images of the daemon."""
        # Here and not above: Docker's own client comes with it.
        from cgbench.engine.images import Images

        return Images(self._connection)

    @functools.cached_property
    def networks(self) -> Networks:
        """The networks that are made for trials."""
        # Here and not above: only what runs programs of one's own has any.
        from cgbench.engine.networks import Networks

        return Networks(self._connection)

    @functools.cached_property
    def chronicle(self) -> Chronicle:
        """What the daemon remembers of containers."""
        # Here and not above: an audit asks for nothing that was.
        from cgbench.engine.chronicle import Chronicle

        return Chronicle(self._connection)

    def _require_update(self) -> None:
        """Refuse a daemon without `docker update`: asked for a container that cannot be there.

        One that knows the request says in JSON that there is no such container.
        """
        reply = self._connection.request("POST", f"/containers/{_NOBODY}/update", {})
        try:
            said = reply.json()
        except ValueError:
            said = None
        if not isinstance(said, Mapping) or "message" not in said:
            raise DockerUnavailable(
                f"{self._daemon.product} at {self.endpoint.words} knows no `docker update`: it "
                f"answers {reply.status} {reply.text.strip()[:60]}",
                "Changing limits live is what cgbench measures: use a Docker Engine.",
            )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def describe(self) -> dict[str, str]:
        """Ask the daemon for version, api, runc, driver, storage and system, as text."""
        return replace(self._daemon, info=self._connection.document(INFO)).describe()

    def root_dir(self) -> Path:
        """Return the directory in which the daemon keeps images, containers and volumes."""
        return Path(str(self._connection.part(self._daemon.info, "DockerRootDir")))

    # Containers

    @contextmanager
    def container(self, spec: ContainerSpec | ProgramSpec) -> Iterator[str]:
        """Start a container and yield its id; remove it on the way out, whatever happened."""
        creation = self.create(spec)
        container_id = creation.container_id
        if container_id is None:
            raise EngineError(f"cannot create container {spec.name}: {creation.answer.refusal}")
        try:
            answer = self.command(container_id, "start")
            if answer.refusal is not None:
                raise EngineError(f"cannot start container {spec.name}: {answer.refusal}")
            yield container_id
        finally:
            self.remove(container_id)

    def create(self, spec: ContainerSpec | ProgramSpec) -> Creation:
        """Create a container and do not start it yet; the caller removes it.

        Raises ImageError when there is no such image.
        """
        reply, answer = self._connection.ask(
            f"/containers/create?name={quote(spec.name, safe='')}", spec.body()
        )
        if reply.status == 404:
            # Here and not above: hardly ever is one missing.
            from cgbench.engine import image

            raise image.missing(spec.image)
        created = (
            None
            if answer.refusal is not None
            else str(self._connection.part(self._connection.json(reply), "Id"))
        )
        return Creation(created, answer)

    def command(
        self, container_id: str, what: Command, patience_s: int = 0, limit_s: float = TIMEOUT_S
    ) -> Answer:
        """Start, stop, pause, unpause or restart a container.

        A stop or restart kills it when `patience_s` have passed; with 0 at once. The daemon may
        take `limit_s`.
        """
        query = f"?t={patience_s}" if what in ("stop", "restart") else ""
        return self._connection.ask(f"/containers/{container_id}/{what}{query}", None, limit_s)[1]

    def update(self, container_id: str, settings: Settings) -> Answer:
        """Change a running container's options, as `docker update` does.

        Raises UpdateRejected with the daemon's message when it refuses.
        """
        answer = self.update_raw(container_id, update_body(settings))
        if answer.refusal is not None:
            asked = " ".join(f"--{name} {value}" for name, value in settings.items())
            raise UpdateRejected(f"docker update {asked} was refused: {answer.refusal}")
        return answer

    def update_raw(self, container_id: str, body: Mapping[str, object]) -> Answer:
        """Send an update request with exactly this body, sensible or not."""
        path = f"/containers/{container_id}/update"
        return self._connection.ask(path, body, UPDATE_TIMEOUT_S)[1]

    def host_config(self, container_id: str) -> Mapping[str, object]:
        """Return the limits and other settings that `docker inspect` declares of a container."""
        inspected = self._inspected(container_id)
        if inspected is None:
            raise EngineError(f"Docker refused: No such container: {container_id}")
        config: Mapping[str, object] = self._connection.part(inspected, "HostConfig")
        return config

    def declared(self, container_id: str) -> Mapping[str, object]:
        """Return what `host_config` does; nothing where the container was removed."""
        inspected = self._inspected(container_id)
        if inspected is None:
            return {}
        config: Mapping[str, object] = self._connection.part(inspected, "HostConfig")
        return config

    def _inspected(self, container_id: str) -> Any:
        """Return what `docker inspect` says, None if the container was removed."""
        return self._connection.inspected(container_id)

    def life(self, container_id: str) -> Life | None:
        """Return in which of its lives a container is, None if it was removed."""
        inspected = self._inspected(container_id)
        if inspected is None:
            return None
        status, pid, started = (
            self._connection.part(inspected, "State", key) for key in ("Status", "Pid", "StartedAt")
        )
        return Life(status, pid, started, self._connection.part(inspected, "RestartCount"))

    def state(self, container_id: str) -> State | None:
        """Return how a container is, None if it was removed."""
        inspected = self._inspected(container_id)
        if inspected is None:
            return None
        running, pid, exit_code, oom_killed, reason = (
            self._connection.part(inspected, "State", key)
            for key in ("Running", "Pid", "ExitCode", "OOMKilled", "Error")
        )
        return State(running, pid, exit_code, oom_killed, reason)

    def logs(self, container_id: str) -> str:
        """Return the last lines that a container printed, none where Docker has none."""
        return self._connection.client.logs(container_id)

    def printed(self, container_id: str) -> list[str]:
        """Return all lines that a container printed, each after Docker's time stamp and a blank."""
        return self._connection.client.printed(container_id)

    def remove(self, container_id: str) -> None:
        """Kill and remove a container; one that is gone already is fine.

        Tried again for half a minute: a process that waits for a busy disk dies late, and the
        daemon itself waits for no more than ten seconds.
        """
        limit = time.monotonic() + _REMOVE_TIMEOUT_S
        while True:
            try:
                self._remove(container_id)
            except EngineError as failure:
                if time.monotonic() > limit:
                    reason = f"cannot remove {container_id[:12]}: {failure.message}"
                    raise type(failure)(reason, "Try `cgbench clean` later.") from failure
                time.sleep(0.2)
            else:
                return

    def _remove(self, container_id: str) -> None:
        reply = self._connection.request(
            "DELETE", f"/containers/{quote(container_id, safe='')}?v=1&force=1"
        )
        # 404: it is gone. 409: somebody else is removing it at this moment.
        if reply.status >= 400 and reply.status not in (404, 409):
            raise EngineError(f"Docker refused: {reply.message}")

    def leftovers(
        self, run: str | None = None, is_dead: Callable[[str], bool] = lambda owner: True
    ) -> list[str]:
        """Return the ids of all containers that cgbench started and that still exist.

        With `run`, only those of that run; with `is_dead`, only those whose owner is, or that have
        none.
        """
        label = LABEL if run is None else f"{LABEL}={run}"
        found = self._listed(stopped=True, filters={"label": [label]})
        owners = {
            str(self._connection.part(entry, "Id")): self._labels(entry).get(OWNER)
            for entry in found
        }
        return [one for one, owner in owners.items() if not owner or is_dead(str(owner))]

    def listed(self, *, stopped: bool = False) -> list[Listed]:
        """Return every running container, by name; with `stopped`, the others as well."""
        listed = []
        for entry in self._listed(stopped=stopped):
            container_id, names, image, state = (
                self._connection.part(entry, key) for key in ("Id", "Names", "Image", "State")
            )
            name = str((names or [container_id])[0]).lstrip("/")
            labels = {str(key): str(value) for key, value in self._labels(entry).items()}
            listed.append(Listed(str(container_id), name, str(image), str(state), labels))
        return sorted(listed, key=lambda one: one.name)

    def inspected(self, container_id: str) -> Inspected | None:
        """Return a container's first process and what is declared of it, None if it was removed.

        The process is 0 where none runs.
        """
        return self._declared(functools.partial(self._inspected, container_id))

    def inspected_ahead(
        self, container_ids: Iterable[str]
    ) -> Iterator[Callable[[], Inspected | None]]:
        """Yield for each container, in order, what returns or raises the same as `inspected`.

        Meanwhile the daemon looks at the next few.
        """
        for asked in self._connection.inspected_ahead(container_ids):
            yield functools.partial(self._declared, asked)

    def _declared(self, inspect: Callable[[], Any]) -> Inspected | None:
        found = inspect()
        if found is None:
            return None
        pid = self._connection.part(found, "State", "Pid")
        config = self._connection.part(found, "HostConfig")
        return Inspected(pid if isinstance(pid, int) else 0, config)

    def named_alike(self) -> list[NamedAlike]:
        """Return all containers with a name that cgbench could have given, or with its label."""
        named = []
        for entry in self._listed(stopped=True):
            labels = self._labels(entry)
            names = self._connection.part(entry, "Names") or [self._connection.part(entry, "Id")]
            name = str(names[0]).lstrip("/")
            if LABEL in labels or name.startswith("cgbench-"):
                named.append(NamedAlike(name, LABEL in labels, str(labels.get(OWNER, ""))))
        return sorted(named, key=lambda one: one.name)

    def _labels(self, entry: object) -> Mapping[str, object]:
        """Return a listed container's labels; the daemon says null where it has none."""
        labels = self._connection.part(entry, "Labels")
        return labels if isinstance(labels, Mapping) else {}

    def stopped_by_a_restart(self) -> list[str]:
        """Return images and ids of others' running containers that end when the daemon restarts.

        There are none where it keeps containers alive (`live-restore`).
        """
        if self._connection.part(self._connection.document(INFO), "LiveRestoreEnabled") is True:
            return []
        others = [
            [str(self._connection.part(entry, key)) for key in ("Image", "Id")]
            for entry in self._listed()
            if LABEL not in self._labels(entry)
        ]
        return sorted(f"{image} {container_id[:12]}" for image, container_id in others)

    def stats(self, container_id: str) -> StatsStream:
        """Start recording the `docker stats` stream of a container."""
        return self._connection.client.stats(container_id)

    def stats_once(self, container_id: str) -> Stats:
        """Return one reading of the stats API, as a polling monitor takes it."""
        # Here and not above: only what measures asks for streams.
        from cgbench.engine.streams import stats

        path = f"/containers/{container_id}/stats?stream=false&one-shot=true"
        return stats(self._connection.document(path), time.monotonic_ns())

    def events(self, run: str) -> EventStream:
        """Start recording what happens to the containers of a run."""
        # Here and not above: only what measures asks for streams.
        from cgbench.engine.streams import EventStream

        client = self._connection.client
        stream = client.events(filters={"label": f"{LABEL}={run}"})
        return EventStream(stream, stream.close, client.errors)

    def _listed(
        self, *, stopped: bool = False, filters: Mapping[str, list[str]] | None = None
    ) -> list[Any]:
        """Return what `docker ps` lists, as the daemon says it."""
        return self._connection.listed(containers(stopped=stopped, filters=filters))
