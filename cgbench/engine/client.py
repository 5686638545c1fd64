"""Docker's own client, for what is more than a question and its answer: streams, logs, images.

It is loaded where something first needs it: most commands never do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, BinaryIO

import docker
import docker.errors
import requests
import urllib3.exceptions

from cgbench.engine.endpoint import Endpoint
from cgbench.engine.patience import Patience
from cgbench.engine.streams import StatsStream
from cgbench.errors import EngineError

CLIENT_ERRORS = (
    docker.errors.DockerException,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
)
"""All that Docker's client and the two libraries below it raise."""


class Client:
    """Docker's low-level client of one daemon, whose failures are EngineErrors."""

    errors = CLIENT_ERRORS
    """What an interrupted stream raises."""

    def __init__(self, endpoint: Endpoint, version: str, patience: Patience) -> None:
        self._patience = patience
        self.api = docker.APIClient(
            base_url=endpoint.url, version=version, timeout=patience.limit_s
        )  # fmt: skip
        # Neither proxies nor passwords of the environment are for a socket of this host.
        self.api.trust_env = False

    def close(self) -> None:
        """Close its connections."""
        self.api.close()

    def call(self, method: Callable[..., Any], *arguments: object, **named: object) -> Any:
        """Call a method of the client. Raises EngineError where it fails or is not answered."""
        self.api.timeout = self._patience.limit_s
        try:
            answer = method(*arguments, **named)
        except CLIENT_ERRORS as error:
            limit_s = named.get("timeout")
            raise self.failure(error, limit_s if isinstance(limit_s, float) else None) from error
        self._patience.hung = False
        return answer

    def within(self, limit_s: float, method: Callable[[], Any]) -> Any:
        """Call a method that has no limit of its own. Raises EngineError when it takes too long.

        It is called in a thread, which is left behind when it does.
        """
        results: list[Any] = []
        errors: list[BaseException] = []

        def attempt() -> None:
            try:
                results.append(method())
            except CLIENT_ERRORS as error:
                errors.append(error)

        thread = threading.Thread(target=attempt, daemon=True)
        thread.start()
        thread.join(limit_s)
        if errors:
            raise self.failure(errors[0]) from errors[0]
        if not results:
            raise self._patience.late(limit_s)
        return results[0]

    def send(self, path: str, content: BinaryIO, limit_s: float) -> requests.Response:
        """Send an archive as it is read. Raises EngineError where that is not answered."""
        response: requests.Response = self.call(
            self.api.post, f"{self.api.base_url}/v{self.api.api_version}{path}", timeout=limit_s,
            data=content, headers={"Content-Type": "application/x-tar"},
        )  # fmt: skip
        return response

    def logs(self, container_id: str) -> str:
        """Return the last lines that a container printed, none where Docker has none."""
        self.api.timeout = self._patience.limit_s
        try:
            return str(self.api.logs(container_id, tail=5).decode(errors="replace")).strip()
        except docker.errors.APIError:
            return ""
        except CLIENT_ERRORS as error:
            raise self.failure(error) from error

    def printed(self, container_id: str) -> list[str]:
        """Return all lines that a container printed, each after Docker's time stamp and a blank."""
        text: bytes = self.call(self.api.logs, container_id, timestamps=True)
        return text.decode(errors="replace").splitlines()

    def stats(self, container_id: str) -> StatsStream:
        """Start recording the `docker stats` stream of a container."""
        stream = self.call(self.api.stats, container_id, decode=True, stream=True)
        return StatsStream(stream, CLIENT_ERRORS)

    def events(self, **asked: object) -> Any:
        """Return the stream of what happens, which may be silent for as long as it likes.

        So Docker's client sets no limit, not even for the beginning of the answer.
        """
        return self.within(
            self._patience.usual_s, lambda: self.api.events(decode=True, **asked)
        )  # fmt: skip

    def past_events(self, **asked: object) -> list[Any]:
        """Return what happened by now, of an interval that has ended."""
        found: list[Any] = self.within(
            self._patience.usual_s, lambda: list(self.api.events(decode=True, **asked))
        )
        return found

    def failure(self, error: BaseException, limit_s: float | None = None) -> EngineError:
        """Return what a failure of the client means; `limit_s` is a limit of the request's own."""
        if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
            return self._patience.lost(self._patience.limit_s if limit_s is None else limit_s)
        if isinstance(error, docker.errors.APIError):
            return EngineError(f"Docker refused: {cause(error)}")
        return self._patience.broken(cause(error))


def cause(error: BaseException) -> str:
    """Return the innermost reason of an error, in the daemon's own words if it has any."""
    if isinstance(error, docker.errors.APIError) and error.explanation:
        return str(error.explanation)
    inner = error.__cause__ or error.__context__
    while inner is not None and (inner.__cause__ or inner.__context__):
        inner = inner.__cause__ or inner.__context__
    return str(inner or error)


def message(response: requests.Response) -> str:
    """Return what the daemon says in an answer that refuses something."""
    try:
        return str(response.json()["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return response.text.strip()[:200] or f"HTTP status {response.status_code}"
