"""What a daemon remembers of containers: their last lives, and what happened to them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from pydantic import ValidationError

from cgbench.engine.connection import Connection
from cgbench.engine.event_feed import EventFeed
from cgbench.errors import EngineError
from cgbench.records.cause import DockerEvent, Past
from cgbench.records.files import first_complaint
from cgbench.spec.model import Model
from cgbench.units import NS_PER_S

M = TypeVar("M", bound=Model)

# The events that say how a container lives and ends.
_LIVES = ("start", "die", "kill", "oom", "stop", "restart", "destroy", "update", "pause", "unpause")


class Chronicle:
    """Asks one daemon for what it remembers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def past(self, container_id: str) -> Past | None:
        """Return what Docker knows of a container's last life, None if it was removed."""
        found = self._connection.inspected(container_id)
        if found is None:
            return None
        part = functools.partial(self._connection.part, found)
        restart = part("HostConfig", "RestartPolicy")
        return _understood(
            Past,
            id=part("Id"),
            name=str(part("Name")).lstrip("/"),
            status=part("State", "Status"),
            exit_code=part("State", "ExitCode"),
            oom_killed=part("State", "OOMKilled"),
            error=part("State", "Error"),
            started=_seconds(part("State", "StartedAt")),
            finished=_seconds(part("State", "FinishedAt")),
            restarts=part("RestartCount"),
            policy=(restart.get("Name") if isinstance(restart, Mapping) else None) or "no",
            command=(part("Path"), *(part("Args") or ())),
            parent=part("HostConfig", "CgroupParent") or "",
            pid=part("State", "Pid"),
        )

    def happened(self, container: str, since: float, until: float) -> tuple[DockerEvent, ...]:
        """Return what the daemon remembers of a container, by name or identity, the oldest first.

        It keeps some 256 events of all containers and images, and forgets them when it ends.
        Times are seconds of UNIX time.
        """
        filters = {"container": container, "event": list(_LIVES)}
        asked = {"since": f"{since:.3f}", "until": f"{until:.3f}", "filters": filters}
        messages = self._connection.client.past_events(**asked)
        return tuple(self._event(one) for one in messages)

    def _event(self, message: object) -> DockerEvent:
        action, t_ns, container_id, attributes = (
            self._connection.part(message, *keys)
            for keys in (("Action",), ("timeNano",), ("Actor", "ID"), ("Actor", "Attributes"))
        )
        return _understood(
            DockerEvent,
            at=t_ns / NS_PER_S if isinstance(t_ns, int) else None,
            container_id=container_id,
            action=action,
            attributes=attributes or {},
        )

    def follow(self) -> EventFeed:
        """Start following what happens to all containers."""
        client = self._connection.client
        stream = client.events(filters={"type": "container", "event": list(_LIVES)})
        return EventFeed(stream, stream.close, self._event, client.errors)


def _understood(kind: type[M], **facts: object) -> M:
    """Return a record of what the daemon says. Raises EngineError where it is of another kind."""
    try:
        return kind.model_validate(facts)
    except ValidationError as error:
        raise EngineError(f"Docker's answer is odd: {first_complaint(error)}") from None


def _seconds(text: object) -> float | None:
    """Return a time of Docker's as seconds of UNIX time, None where it says that there is none."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    # Go's zero time is in the year 1; without a zone it is no time of Docker's.
    return None if at.year < 1970 or at.tzinfo is None else at.timestamp()
