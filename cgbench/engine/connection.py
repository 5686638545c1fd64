"""Requests to one daemon: each has a limit, and every failure is an EngineError."""

from __future__ import annotations

import functools
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from cgbench.engine.endpoint import Endpoint
from cgbench.engine.exchange import FAILURES, Exchange, Question, Reply
from cgbench.engine.patience import Patience
from cgbench.errors import DockerUnavailable, EngineError

if TYPE_CHECKING:
    from cgbench.engine.client import Client

TIMEOUT_S = 45.0
"""How long the daemon may take over one answer; removing a container from a busy disk is slow."""

INFO = "/info"
"""Where the daemon says what it is, and on which host."""

_VERSION = "/version"
_AHEAD = 4
_START_IT = "Start it (systemctl start docker, or run `make setup` in a checkout)."


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
    """A connection to the daemon at an endpoint.

    It is asked at once for what is at the paths `ahead`, and the answers wait until they are
    wanted. Raises DockerUnavailable where nobody listens.
    """

    def __init__(
        self, endpoint: Endpoint, timeout_s: float = TIMEOUT_S, ahead: Iterable[str] = (INFO,)
    ) -> None:
        self.endpoint = endpoint
        self.patience = Patience(endpoint, timeout_s)
        self._exchange = Exchange(endpoint.path, endpoint.fields)
        try:
            self._exchange.open(TIMEOUT_S)
        except OSError as error:
            elsewhere = endpoint.origin is not None
            advice = "Start it, or choose another socket." if elsewhere else _START_IT
            raise self._unavailable(error.strerror or str(error), advice) from error
        # A path without a version is of the daemon's own, by which all others are asked for.
        self._asked = {
            path: self._exchange.begin("GET", path, timeout_s) for path in (_VERSION, *ahead)
        }

    @functools.cached_property
    def about(self) -> Mapping[str, object]:
        """What the daemon says of itself. Raises DockerUnavailable where that is nothing."""
        try:
            reply = self._asked.pop(_VERSION).answer(self.patience.usual_s)
            said = reply.json() if reply.status < 400 else None
        except (*FAILURES, ValueError) as error:
            self.close()
            raise self._unavailable(str(error), _START_IT) from error
        if not isinstance(said, Mapping) or "ApiVersion" not in said:
            self.close()
            raise self._unavailable(reply.message, _START_IT)
        return said

    def _unavailable(self, why: str, advice: str) -> DockerUnavailable:
        return DockerUnavailable(
            f"no Docker daemon answers at {self.endpoint.words}: {why}", advice
        )  # fmt: skip

    @functools.cached_property
    def client(self) -> Client:
        """Docker's own client of the same daemon."""
        # Here and not above: to load it takes a tenth of a second.
        from cgbench.engine.client import Client

        return Client(self.endpoint, str(self.about["ApiVersion"]), self.patience)

    def close(self) -> None:
        """Close the connection."""
        while self._asked:
            self._asked.popitem()[1].drop()
        self._exchange.close()
        if "client" in self.__dict__:
            self.client.close()

    def request(
        self, method: str, path: str, body: object = None, limit_s: float | None = None
    ) -> Reply:
        """Send a request, with JSON for its body if any. Raises EngineError without an answer."""
        waited_s = self.patience.limit_s if limit_s is None else limit_s
        return self._answer(self._begun(method, path, body, waited_s), waited_s)

    def _begun(self, method: str, path: str, body: object, limit_s: float) -> Question:
        """Send a request, unless it was sent already, ahead."""
        asked = self._asked.pop(path, None) if method == "GET" else None
        if asked is not None:
            return asked
        content = None if body is None else json.dumps(body).encode()
        url = f"/v{self.about['ApiVersion']}{path}"
        return self._exchange.begin(method, url, limit_s, content)

    def _answer(self, asked: Question, waited_s: float) -> Reply:
        try:
            reply = asked.answer(waited_s)
        except TimeoutError as error:
            raise self.patience.lost(waited_s) from error
        except FAILURES as error:
            raise self.patience.broken(str(error)) from error
        self.patience.hung = False
        return reply

    def document(self, path: str) -> Mapping[str, object]:
        """Return the JSON object at a path. Raises EngineError without an answer in JSON."""
        return self.json(self._found(path))

    def listed(self, path: str) -> list[Any]:
        """Return the JSON list at a path; whatever else is there is taken for one of its entries.

        Raises EngineError without an answer in JSON.
        """
        reply = self._found(path)
        try:
            found = reply.json()
        except ValueError:
            raise self._odd(reply) from None
        return found if isinstance(found, list) else [found]

    def _found(self, path: str) -> Reply:
        reply = self.request("GET", path)
        if reply.status >= 400:
            raise EngineError(f"Docker refused: {reply.message}")
        return reply

    def inspected(self, container_id: str) -> Any:
        """Return what `docker inspect` says of a container, None if it was removed."""
        return self._inspected(self.request("GET", _container(container_id)))

    def inspected_ahead(self, container_ids: Iterable[str]) -> Iterator[Callable[[], Any]]:
        """Yield for each container, in order, what returns or raises the same as `inspected`.

        A few are asked for before they are waited for, each on a connection of its own.
        """
        waiting: deque[Question] = deque()
        try:
            for one in container_ids:
                waiting.append(self._begun("GET", _container(one), None, self.patience.limit_s))
                if len(waiting) > _AHEAD:
                    yield functools.partial(self._awaited, waiting.popleft())
            while waiting:
                yield functools.partial(self._awaited, waiting.popleft())
        finally:
            for asked in waiting:
                asked.drop()

    def _awaited(self, asked: Question) -> Any:
        return self._inspected(self._answer(asked, self.patience.limit_s))

    def _inspected(self, reply: Reply) -> Any:
        if reply.status == 404:
            return None
        if reply.status >= 400:
            raise EngineError(f"Docker refused: {reply.message}")
        return self.json(reply)

    def ask(
        self, path: str, body: Mapping[str, object] | None, limit_s: float = TIMEOUT_S
    ) -> tuple[Reply, Answer]:
        """Send a request that changes something; return the reply and when it came.

        It may take no longer than `limit_s`, nor than any other, unless that is more than usual.
        """
        longer = limit_s > TIMEOUT_S and not self.patience.hung
        waited_s = limit_s if longer else min(limit_s, self.patience.limit_s)
        begin = time.monotonic_ns()
        reply = self.request("POST", path, body, waited_s)
        end = time.monotonic_ns()
        if reply.status >= 400:
            return reply, Answer(begin, end, (), reply.message)
        said = self.json(reply).get("Warnings") if reply.body else None
        # A list of texts, as Docker documents it; whatever else is said is one warning.
        warnings = said if isinstance(said, list) else [said] if said else []
        return reply, Answer(begin, end, tuple(map(str, warnings)))

    def json(self, reply: Reply) -> Mapping[str, object]:
        """Return a reply's JSON object. Raises EngineError where it is not one."""
        try:
            answer = reply.json()
        except ValueError:
            answer = None
        if not isinstance(answer, Mapping):
            raise self._odd(reply)
        return answer

    def _odd(self, reply: Reply) -> EngineError:
        return EngineError(
            f"Docker answered something that is no JSON object: {reply.text.strip()[:60]!r}",
            f"Check what listens at {self.endpoint.words}.",
        )

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


def containers(*, stopped: bool, filters: Mapping[str, list[str]] | None = None) -> str:
    """Return where the daemon lists its containers, those that do not run as well if `stopped`."""
    asked = {"all": "1" if stopped else "0"}
    if filters:
        asked["filters"] = json.dumps(filters)
    return f"/containers/json?{urlencode(asked)}"


def _container(container_id: str) -> str:
    return f"/containers/{quote(container_id, safe='')}/json"
