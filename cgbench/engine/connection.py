"""Requests to one daemon: each has a limit, and every failure of the client is an EngineError."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import docker
import docker.errors
import requests
import urllib3.exceptions
from docker.transport import UnixHTTPAdapter

from cgbench.engine.endpoint import Endpoint
from cgbench.errors import DockerUnavailable, EngineError, NoAnswer

CLIENT_ERRORS = (
    docker.errors.DockerException,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
)
"""All that Docker's client and the two libraries below it raise."""

TIMEOUT_S = 45.0
"""How long the daemon may take over one answer; removing a container from a busy disk is slow."""

_HUNG_S = 5.0
# What docker's client calls a socket.
_SCHEME = "http+docker://"

_START_IT = "Start it (systemctl start docker, or run `make setup` in a checkout)."
_HANGS = "Check the daemon (docker info, its log); restart it if it hangs."


@dataclass(frozen=True)
class Answer:
    """The daemon's answer to a request, and when it was asked and given (CLOCK_MONOTONIC ns).

    `refusal` is what it said when it refused, None when it did not.
    """

    t_request_ns: int
    t_answer_ns: int
    warnings: tuple[str, ...]
    refusal: str | None = None


class Connection:
    """A connection to the daemon at an endpoint; `api` is Docker's low-level client.

    Raises DockerUnavailable where no daemon answers.
    """

    def __init__(self, endpoint: Endpoint, timeout_s: float = TIMEOUT_S) -> None:
        self.endpoint = endpoint
        self.timeout_s = timeout_s
        self._hung = False
        _require_listener(endpoint)
        try:
            self.api = docker.APIClient(
                base_url=endpoint.url, version="auto", timeout=timeout_s
            )  # fmt: skip
        except CLIENT_ERRORS as error:
            raise DockerUnavailable(
                f"no Docker daemon answers at {endpoint.words}: {self.cause(error)}", _START_IT
            ) from error
        # Neither proxies nor passwords of the environment are for a socket of this host.
        self.api.trust_env = False
        self.api.get_adapter(_SCHEME).close()
        self.api.mount(_SCHEME, _of_one_pool(endpoint.path, timeout_s))

    def close(self) -> None:
        """Close the connection."""
        self.api.close()

    def call(self, method: Callable[..., Any], *arguments: object, **named: object) -> Any:
        """Call a method of the client. Raises EngineError where it fails or is not answered."""
        try:
            answer = method(*arguments, **named)
        except CLIENT_ERRORS as error:
            limit_s = named.get("timeout")
            raise self.failure(error, limit_s if isinstance(limit_s, float) else None) from error
        self._set_hung(hung=False)
        return answer

    def _set_hung(self, *, hung: bool) -> None:
        """After an answer that did not come, wait less for the next ones, until one comes."""
        self._hung = hung
        self.api.timeout = self._limit_s

    @property
    def _limit_s(self) -> float:
        return min(_HUNG_S, self.timeout_s) if self._hung else self.timeout_s

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
            raise self._late(limit_s)
        return results[0]

    def post(
        self, path: str, timeout_s: float | None = None, **content: object
    ) -> requests.Response:
        """Send a POST request. Raises EngineError where it is not answered."""
        limit_s = self._limit_s if timeout_s is None else timeout_s
        response: requests.Response = self.call(
            self.api.post, self._url(path), timeout=limit_s, **content
        )
        return response

    def get(self, path: str) -> Mapping[str, Any]:
        """Return the JSON object at a path. Raises EngineError without an answer in JSON."""
        response = self.call(self.api.get, self._url(path), timeout=self._limit_s)
        if response.status_code >= 400:
            raise EngineError(f"Docker refused: {message(response)}")
        return self.json(response)

    def inspected(self, container_id: str) -> Any:
        """Return what `docker inspect` says of a container, None if it was removed."""
        try:
            return self.api.inspect_container(container_id)
        except docker.errors.NotFound:
            return None
        except CLIENT_ERRORS as error:
            raise self.failure(error) from error

    def ask(
        self, path: str, body: Mapping[str, object] | None, limit_s: float = TIMEOUT_S
    ) -> tuple[requests.Response, Answer]:
        """Send a request that changes something; return the response and when it came.

        It may take no longer than `limit_s`, nor than any other, unless that is more than usual.
        """
        longer = limit_s > TIMEOUT_S and not self._hung
        begin = time.monotonic_ns()
        response = self.post(path, limit_s if longer else min(limit_s, self._limit_s), json=body)
        end = time.monotonic_ns()
        if response.status_code >= 400:
            return response, Answer(begin, end, (), message(response))
        said = self.json(response).get("Warnings") if response.content else None
        # A list of texts, as Docker documents it; whatever else is said is one warning.
        warnings = said if isinstance(said, list) else [said] if said else []
        return response, Answer(begin, end, tuple(map(str, warnings)))

    def json(self, response: requests.Response) -> Mapping[str, Any]:
        """Return an answer's JSON object. Raises EngineError where it is not one."""
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, Mapping):
            raise EngineError(
                f"Docker answered something that is no JSON object: {response.text.strip()[:60]!r}",
                f"Check what listens at {self.endpoint.words}.",
            )
        return answer

    def part(self, answer: Any, *keys: str) -> Any:
        """Return a part of an answer. Raises EngineError where the daemon left it out."""
        for depth, key in enumerate(keys, 1):
            if not isinstance(answer, Mapping) or key not in answer:
                raise EngineError(
                    f"Docker's answer lacks {'.'.join(keys[:depth])}",
                    f"Check what listens at {self.endpoint.words}.",
                )
            answer = answer[key]
        return answer

    def failure(self, error: BaseException, limit_s: float | None = None) -> EngineError:
        """Return what a failure of the client means; `limit_s` is a limit of the request's own."""
        if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
            late = self._late(self._limit_s if limit_s is None else limit_s)
            self._set_hung(hung=True)
            return late
        if isinstance(error, docker.errors.APIError):
            return EngineError(f"Docker refused: {self.cause(error)}")
        return NoAnswer(f"Docker does not answer: {self.cause(error)}", _HANGS)

    def _late(self, limit_s: float) -> NoAnswer:
        return NoAnswer(
            f"Docker at {self.endpoint.words} did not answer within {limit_s:g} s", _HANGS
        )

    def cause(self, error: BaseException) -> str:
        """Return the innermost reason of an error, in the daemon's own words if it has any."""
        if isinstance(error, docker.errors.APIError) and error.explanation:
            return str(error.explanation)
        inner = error.__cause__ or error.__context__
        while inner is not None and (inner.__cause__ or inner.__context__):
            inner = inner.__cause__ or inner.__context__
        return str(inner or error)

    def _url(self, path: str) -> str:
        return f"{self.api.base_url}/v{self.api.api_version}{path}"


def _of_one_pool(path: str, timeout_s: float) -> Any:
    """Return what keeps connections for all requests: docker's own keeps them by the whole URL, and
    so opens one for every container that is inspected.
    """
    adapter = UnixHTTPAdapter(f"http+unix://{path}", timeout=timeout_s)
    by_url = adapter.get_connection
    adapter.get_connection = lambda _url, proxies=None: by_url(_SCHEME, proxies)
    return adapter


def message(response: requests.Response) -> str:
    """Return what the daemon says in an answer that refuses something."""
    try:
        return str(response.json()["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return response.text.strip()[:200] or f"HTTP status {response.status_code}"


def _require_listener(endpoint: Endpoint) -> None:
    """Raise DockerUnavailable unless something listens on the socket.

    Asked first, since docker's own client leaks its socket where nothing listens.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(TIMEOUT_S)
        try:
            client.connect(endpoint.path)
        except OSError as error:
            raise DockerUnavailable(
                f"no Docker daemon answers at {endpoint.words}: {error.strerror or error}",
                _START_IT if endpoint.origin is None else "Start it, or choose another socket.",
            ) from error
