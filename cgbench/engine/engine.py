"""Containers of one daemon: started, updated, inspected, and removed always."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import docker
import docker.errors

from cgbench.engine import endpoint, image
from cgbench.engine.chronicle import Chronicle
from cgbench.engine.connection import CLIENT_ERRORS, TIMEOUT_S, Answer, Connection
from cgbench.engine.container_spec import LABEL, OWNER, ContainerSpec
from cgbench.engine.daemon import Daemon
from cgbench.engine.images import Images
from cgbench.engine.networks import Networks
from cgbench.engine.program_spec import ProgramSpec
from cgbench.engine.streams import EventStream, Stats, StatsStream, stats
from cgbench.errors import DockerUnavailable, EngineError, UpdateRejected
from cgbench.spec.option import Settings
from cgbench.spec.options import update_body

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


@dataclass(frozen=True)
class Creation:
    """What became of a request to create a container: its id is None where it was refused."""

    container_id: str | None
    answer: Answer


@dataclass(frozen=True)
class State:
    """How a container is: `oom_killed`, `exit_code` and `error` as `docker inspect` says."""

    running: bool
    pid: int
    exit_code: int
    oom_killed: bool
    error: str


@dataclass(frozen=True)
class Life:
    """In which of its lives a container is, and its state in Docker's word; two equal are one.

    `pid` is 0 where no process runs, `restarts` counts those by its restart policy.
    """

    status: str
    pid: int
    started: str
    restarts: int


@dataclass(frozen=True)
class Listed:
    """A container as the daemon lists it; `name` without the slash in front."""

    container_id: str
    name: str
    image: str
    state: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Inspected:
    """A container's first process, and its limits and other settings as Docker declares them."""

    pid: int
    host_config: Mapping[str, object]


@dataclass(frozen=True)
class NamedAlike:
    """A container that is named like ours, and what of our labels it carries."""

    name: str
    marked: bool
    owner: str


class Engine:
    """A Docker daemon on this host. Raises DockerUnavailable where there is none to use."""

    def __init__(
        self, environment: Mapping[str, str] = os.environ, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.endpoint = endpoint.choose(environment)
        self._connection = Connection(self.endpoint, timeout_s)
        self._api = self._connection.api
        self.images = Images(self._connection)
        self.chronicle = Chronicle(self._connection)
        self.networks = Networks(self._connection)
        try:
            version: Mapping[str, Any] = self._call(self._api.version, api_version=False)
            self._connection.part(version, "ApiVersion")
            self._daemon = Daemon(version, self._call(self._api.info))
            self._daemon.require_usable(self.endpoint.words)
            self._require_update()
        except EngineError:
            self.close()
            raise

    def _require_update(self) -> None:
        """Refuse a daemon without `docker update`: asked for a container that cannot be there.

        One that knows the request says in JSON that there is no such container.
        """
        response = self._connection.post(f"/containers/{_NOBODY}/update", json={})
        try:
            known = "message" in response.json()
        except ValueError:
            known = False
        if not known:
            raise DockerUnavailable(
                f"{self._daemon.product} at {self.endpoint.words} knows no `docker update`: it "
                f"answers {response.status_code} {response.text.strip()[:60]}",
                "Changing limits live is what cgbench measures: use a Docker Engine.",
            )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def describe(self) -> dict[str, str]:
        """Ask the daemon for version, api, runc, driver, storage and system, as text."""
        return replace(self._daemon, info=self._call(self._api.info)).describe()

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
        response, answer = self._connection.ask(
            f"/containers/create?name={quote(spec.name, safe='')}", spec.body()
        )
        if response.status_code == 404:
            raise image.missing(spec.image)
        created = (
            None
            if answer.refusal is not None
            else str(self._connection.part(self._connection.json(response), "Id"))
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
        inspected = self._call(self._api.inspect_container, container_id)
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
        try:
            return str(self._api.logs(container_id, tail=5).decode(errors="replace")).strip()
        except docker.errors.APIError:
            return ""
        except CLIENT_ERRORS as error:
            raise self._connection.failure(error) from error

    def printed(self, container_id: str) -> list[str]:
        """Return all lines that a container printed, each after Docker's time stamp and a blank."""
        text: bytes = self._call(self._api.logs, container_id, timestamps=True)
        return text.decode(errors="replace").splitlines()

    def remove(self, container_id: str) -> None:
        """Kill and remove a container; one that is gone already is fine.

        Tried again for half a minute: a process that waits for a busy disk dies late, and the
        daemon itself waits for no more than ten seconds.
        """
        limit = time.monotonic() + _REMOVE_TIMEOUT_S
        while True:
            try:
                self._api.remove_container(container_id, force=True, v=True)
            except docker.errors.NotFound:
                return
            except CLIENT_ERRORS as error:
                # 409: somebody else is removing it at this moment.
                if isinstance(error, docker.errors.APIError) and error.status_code == 409:
                    return
                failure = self._connection.failure(error)
                if time.monotonic() > limit:
                    reason = f"cannot remove {container_id[:12]}: {failure.message}"
                    raise type(failure)(reason, "Try `cgbench clean` later.") from error
                time.sleep(0.2)
            else:
                return

    def leftovers(
        self, run: str | None = None, is_dead: Callable[[str], bool] = lambda owner: True
    ) -> list[str]:
        """Return the ids of all containers that cgbench started and that still exist.

        With `run`, only those of that run; with `is_dead`, only those whose owner is, or that have
        none.
        """
        label = LABEL if run is None else f"{LABEL}={run}"
        found = self._call(self._api.containers, all=True, filters={"label": label})
        owners = {
            str(self._connection.part(entry, "Id")): self._labels(entry).get(OWNER)
            for entry in (found if isinstance(found, list) else [found])
        }
        return [one for one, owner in owners.items() if not owner or is_dead(str(owner))]

    def listed(self, *, stopped: bool = False) -> list[Listed]:
        """Return every running container, by name; with `stopped`, the others as well."""
        found = self._call(self._api.containers, all=stopped)
        listed = []
        for entry in found if isinstance(found, list) else [found]:
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
        found = self._inspected(container_id)
        if found is None:
            return None
        pid = self._connection.part(found, "State", "Pid")
        config = self._connection.part(found, "HostConfig")
        return Inspected(pid if isinstance(pid, int) else 0, config)

    def named_alike(self) -> list[NamedAlike]:
        """Return all containers with a name that cgbench could have given, or with its label."""
        found = self._call(self._api.containers, all=True)
        named = []
        for entry in found if isinstance(found, list) else [found]:
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
        if self._connection.part(self._call(self._api.info), "LiveRestoreEnabled") is True:
            return []
        found = self._call(self._api.containers)
        others = [
            [str(self._connection.part(entry, key)) for key in ("Image", "Id")]
            for entry in (found if isinstance(found, list) else [found])
            if LABEL not in self._labels(entry)
        ]
        return sorted(f"{image} {container_id[:12]}" for image, container_id in others)

    def stats(self, container_id: str) -> StatsStream:
        """Start recording the `docker stats` stream of a container."""
        stream = self._call(self._api.stats, container_id, decode=True, stream=True)
        return StatsStream(stream, CLIENT_ERRORS)

    def stats_once(self, container_id: str) -> Stats:
        """Return one reading of the stats API, as a polling monitor takes it."""
        path = f"/containers/{container_id}/stats?stream=false&one-shot=true"
        return stats(self._connection.get(path), time.monotonic_ns())

    def events(self, run: str) -> EventStream:
        """Start recording what happens to the containers of a run."""
        filters = {"label": f"{LABEL}={run}"}
        # The stream may be silent for as long as it likes, so Docker's client sets no limit, not
        # even for the beginning of the answer.
        stream = self._connection.within(
            self._connection.timeout_s, lambda: self._api.events(decode=True, filters=filters)
        )
        return EventStream(stream, stream.close, CLIENT_ERRORS)

    def _call(self, method: Callable[..., Any], *arguments: object, **named: object) -> Any:
        return self._connection.call(method, *arguments, **named)
