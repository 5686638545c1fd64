"""Containers: start, update, inspect, and remove always. The only module that knows `docker`."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import docker
import docker.errors
import requests

from cgbench.engine import endpoint
from cgbench.engine.daemon import Daemon
from cgbench.engine.endpoint import Endpoint
from cgbench.engine.streams import EventStream, Stats, StatsStream, stats
from cgbench.errors import DockerUnavailable, EngineError, ImageError, UpdateRejected
from cgbench.spec.option import Settings
from cgbench.spec.options import update_body
from cgbench.spec.workload import CONTAINER_USER

LABEL = "cgbench.run"
"""Every container carries it, with the run's name; `cgbench clean` finds them by it."""

PROBE_PATH = "/probe"
"""Where the probe's shared-memory file is mounted in a container."""

SCRATCH_PATH = "/scratch"
"""Where a container that asks for it has a volume on Docker's disk to write to."""

_API_TIMEOUT_S = 30
_REMOVE_TIMEOUT_S = 30
# A name that no container has.
_NOBODY = "cgbench-nobody"
_START_IT = "Start it (systemctl start docker, or run `make setup` in a checkout)."


@dataclass(frozen=True)
class ContainerSpec:
    """What to start: `options` are update options it is born with, `memory` and `pids` safety caps.

    None is no cap, for a container that only sleeps. `raw` are fields of the Engine API's
    HostConfig, sent as they are.
    `deadline_s` after its start the container ends by itself, whatever becomes of cgbench. With an
    empty `argv` it sleeps until then, in a single task.
    `scratch` asks for a volume that is removed with the container, `device` for a block device
    it may read and write, `parent` for a place in the cgroup tree.
    """

    name: str
    image: str
    argv: Sequence[str]
    run: str
    options: Settings
    memory: int | None
    pids: int | None
    deadline_s: int
    probe: Path | None
    scratch: bool = False
    device: Path | None = None
    parent: str | None = None
    raw: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """The daemon's answer to a request, and when it was asked and given (CLOCK_MONOTONIC ns).

    `refusal` is what it said when it refused, None when it did not.
    """

    t_request_ns: int
    t_answer_ns: int
    warnings: tuple[str, ...]
    refusal: str | None = None


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


class Engine:
    """A Docker daemon on this host. Raises DockerUnavailable where there is none to use."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self.endpoint = endpoint.choose(environment)
        _require_listener(self.endpoint)
        try:
            self._api = docker.APIClient(
                base_url=self.endpoint.url, version="auto", timeout=_API_TIMEOUT_S
            )
            version: Mapping[str, Any] = self._api.version(api_version=False)
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise DockerUnavailable(
                f"no Docker daemon answers at {self.endpoint.words}: {_cause(error)}", _START_IT
            ) from error
        try:
            self._daemon = Daemon(version, self._call(self._api.info))
            self._daemon.require_usable(self.endpoint.words)
            self._require_update()
        except EngineError:
            self._api.close()
            raise

    def _require_update(self) -> None:
        """Refuse a daemon without `docker update`: asked for a container that cannot be there.

        One that knows the request says in JSON that there is no such container.
        """
        response = self._post(f"/containers/{_NOBODY}/update", {})
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
        self._api.close()

    def describe(self) -> dict[str, str]:
        """Ask the daemon for version, api, runc, driver, storage and system, as text."""
        return replace(self._daemon, info=self._call(self._api.info)).describe()

    # Containers

    @contextmanager
    def container(self, spec: ContainerSpec) -> Iterator[str]:
        """Start a container and yield its id; remove it on the way out, whatever happened."""
        creation = self.create(spec)
        container_id = creation.container_id
        if container_id is None:
            raise EngineError(f"cannot create container {spec.name}: {creation.answer.refusal}")
        try:
            answer = self.tell(container_id, "start")
            if answer.refusal is not None:
                raise EngineError(f"cannot start container {spec.name}: {answer.refusal}")
            yield container_id
        finally:
            self.remove(container_id)

    def create(self, spec: ContainerSpec) -> Creation:
        """Create a container and do not start it yet; the caller removes it.

        Raises ImageError when there is no such image.
        """
        caps: dict[str, object] = {}
        if spec.memory is not None:
            caps |= {"Memory": spec.memory, "MemorySwap": spec.memory}
        if spec.pids is not None:
            caps |= {"PidsLimit": spec.pids}
        # PID 1 is timeout(1): a timer in the kernel ends the container on its deadline.
        command = ["timeout", "--signal=KILL", str(spec.deadline_s), *spec.argv]
        body = {
            "Image": spec.image,
            "Cmd": command if spec.argv else ["sleep", str(spec.deadline_s)],
            "User": f"{CONTAINER_USER}:{CONTAINER_USER}",
            "Labels": {LABEL: spec.run},
            "NetworkDisabled": True,
            "StopSignal": "SIGKILL",
            # The volume takes its owner from the image's directory of that name.
            "Volumes": {SCRATCH_PATH: {}} if spec.scratch else {},
            "HostConfig": {
                "NetworkMode": "none",
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "ReadonlyRootfs": True,
                "Tmpfs": {"/tmp": "rw,noexec,nosuid,size=16m"},
                "Binds": [] if spec.probe is None else [f"{spec.probe}:{PROBE_PATH}:rw"],
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
                "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
                # Under memory pressure the kernel shall take the stress, not the host's work.
                "OomScoreAdj": 500,
            }
            | _placed(spec)
            | caps
            | update_body(spec.options)
            | dict(spec.raw),
        }
        response, answer = self._ask(f"/containers/create?name={spec.name}", body)
        if response.status_code == 404:
            raise ImageError(f"the image {spec.image} is missing", "Build it: cgbench image build.")
        created = None if answer.refusal is not None else str(response.json()["Id"])
        return Creation(created, answer)

    def tell(
        self, container_id: str, what: Literal["start", "pause", "unpause", "restart"]
    ) -> Answer:
        """Start, pause, unpause or restart a container; a restart kills it at once."""
        query = "?t=0" if what == "restart" else ""
        return self._ask(f"/containers/{container_id}/{what}{query}", None)[1]

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
        return self._ask(f"/containers/{container_id}/update", body)[1]

    def host_config(self, container_id: str) -> Mapping[str, object]:
        """Return the limits and other settings that `docker inspect` declares of a container."""
        inspected = self._call(self._api.inspect_container, container_id)
        config: Mapping[str, object] = inspected["HostConfig"]
        return config

    def state(self, container_id: str) -> State | None:
        """Return how a container is, None if it was removed."""
        try:
            state = self._api.inspect_container(container_id)["State"]
        except docker.errors.NotFound:
            return None
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise EngineError(f"Docker does not answer: {_cause(error)}") from error
        return State(
            state["Running"], state["Pid"], state["ExitCode"], state["OOMKilled"], state["Error"]
        )

    def logs(self, container_id: str) -> str:
        """Return the last lines that a container printed."""
        try:
            return str(self._api.logs(container_id, tail=5).decode(errors="replace")).strip()
        except (docker.errors.DockerException, requests.RequestException):
            return ""

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
            except (docker.errors.DockerException, requests.RequestException) as error:
                # 409: somebody else is removing it at this moment.
                if isinstance(error, docker.errors.APIError) and error.status_code == 409:
                    return
                if time.monotonic() > limit:
                    reason = f"cannot remove {container_id[:12]}: {_cause(error)}"
                    raise EngineError(reason, "Try `cgbench clean` later.") from error
                time.sleep(0.2)
            else:
                return

    def leftovers(self) -> list[str]:
        """Return the ids of all containers that cgbench ever started and that still exist."""
        found = self._call(self._api.containers, all=True, filters={"label": LABEL})
        return [str(entry["Id"]) for entry in found]

    def stats(self, container_id: str) -> StatsStream:
        """Start recording the `docker stats` stream of a container."""
        return StatsStream(_until_it_ends(self._api.stats(container_id, decode=True, stream=True)))

    def stats_once(self, container_id: str) -> Stats:
        """Return one reading of the stats API, as a polling monitor takes it."""
        url = self._url(f"/containers/{container_id}/stats?stream=false&one-shot=true")
        response = self._call(self._api.get, url)
        return stats(response.json(), time.monotonic_ns())

    def events(self, run: str) -> EventStream:
        """Start recording what happens to the containers of a run."""
        stream = self._api.events(decode=True, filters={"label": f"{LABEL}={run}"})
        return EventStream(_until_it_ends(stream), stream.close)

    # Images

    def has_image(self, reference: str) -> bool:
        """Say whether the daemon has an image."""
        try:
            self._api.inspect_image(reference)
        except docker.errors.ImageNotFound:
            return False
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise EngineError(f"Docker does not answer: {_cause(error)}") from error
        return True

    def pull(self, reference: str, timeout_s: float) -> bool:
        """Pull an image; False if the registry does not give it within `timeout_s`."""
        name, _, version = reference.partition(":")
        outcome: list[bool] = []

        def attempt() -> None:
            try:
                self._api.pull(name, tag=version or "latest")
            except (docker.errors.DockerException, requests.RequestException):
                outcome.append(False)
            else:
                outcome.append(True)

        # The daemon's own retries have no limit to set: wait in a thread that may be left behind.
        thread = threading.Thread(target=attempt, daemon=True)
        thread.start()
        thread.join(timeout_s)
        return outcome == [True] and self.has_image(reference)

    def import_image(self, tar: BinaryIO, reference: str) -> None:
        """Make an image from a tar stream of a root file system."""
        name, _, version = reference.partition(":")
        url = f"/images/create?fromSrc=-&repo={name}&tag={version or 'latest'}"
        response = self._api.post(
            self._url(url), data=tar, headers={"Content-Type": "application/x-tar"}, timeout=600
        )
        if response.status_code != 200 or not self.has_image(reference):
            raise ImageError(f"cannot import {reference}: {_message(response)}")

    def build(self, context: Path, tag: str, log: Callable[[str], None]) -> None:
        """Build the Dockerfile in `context`; its output goes to `log` line by line.

        The host's network is used, so that package mirrors that only the host reaches work.
        """
        last = ""
        try:
            for message in self._api.build(
                path=str(context), tag=tag, network_mode="host", rm=True, forcerm=True,
                decode=True, timeout=1800,
            ):  # fmt: skip
                if "error" in message:
                    raise ImageError(
                        f"cannot build {tag}: {message['error'].strip()} (after: {last})",
                        "Check that the host reaches its package mirror.",
                    )
                for line in str(message.get("stream", "")).splitlines():
                    if line.strip():
                        last = line.strip()
                        log(last)
        except (docker.errors.DockerException, requests.RequestException, TypeError) as error:
            raise ImageError(f"cannot build {tag}: {_cause(error)}") from error

    # Plumbing

    def _url(self, path: str) -> str:
        return f"{self._api.base_url}/v{self._api.api_version}{path}"

    def _post(self, path: str, body: Mapping[str, object] | None) -> requests.Response:
        try:
            response: requests.Response = self._api.post(self._url(path), json=body)
        except requests.RequestException as error:
            raise EngineError(f"Docker does not answer: {_cause(error)}") from error
        return response

    def _ask(
        self, path: str, body: Mapping[str, object] | None
    ) -> tuple[requests.Response, Answer]:
        begin = time.monotonic_ns()
        response = self._post(path, body)
        end = time.monotonic_ns()
        if response.status_code >= 400:
            return response, Answer(begin, end, (), _message(response))
        said = response.json() if response.content else {}
        return response, Answer(begin, end, tuple(said.get("Warnings") or ()))

    def _call(self, method: Callable[..., Any], *arguments: object, **named: object) -> Any:
        try:
            return method(*arguments, **named)
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise EngineError(f"Docker refused: {_cause(error)}") from error


def _placed(spec: ContainerSpec) -> dict[str, object]:
    """Return what of HostConfig gives a container its device and its place in the tree."""
    placed: dict[str, object] = {}
    if spec.parent is not None:
        placed["CgroupParent"] = spec.parent
    if spec.device is not None:
        name = str(spec.device)
        placed["Devices"] = [
            {"PathOnHost": name, "PathInContainer": name, "CgroupPermissions": "rw"}
        ]
    return placed


def _until_it_ends(messages: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield messages of a stream; a daemon that closes it or goes away ends it."""
    try:
        yield from messages
    except (docker.errors.DockerException, requests.RequestException, OSError, ValueError):
        return


def _require_listener(endpoint: Endpoint) -> None:
    """Raise DockerUnavailable unless something listens on the socket.

    Asked first, since docker's own client leaks its socket where nothing listens.
    """
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(endpoint.path)
        except OSError as error:
            raise DockerUnavailable(
                f"no Docker daemon answers at {endpoint.words}: {error.strerror or error}",
                _START_IT if endpoint.origin is None else "Start it, or choose another socket.",
            ) from error


def _message(response: requests.Response) -> str:
    try:
        return str(response.json()["message"]).strip()
    except (ValueError, KeyError):
        return response.text.strip()[:200] or f"HTTP status {response.status_code}"


def _cause(error: Exception) -> str:
    if isinstance(error, docker.errors.APIError) and error.explanation:
        return str(error.explanation)
    inner = error.__cause__ or error.__context__
    while inner is not None and (inner.__cause__ or inner.__context__):
        inner = inner.__cause__ or inner.__context__
    return str(inner or error)
