"""Networks of one daemon that are made for a trial: inside of one host only, and removed always."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import docker.errors

from cgbench.engine.connection import CLIENT_ERRORS, Connection
from cgbench.engine.container_spec import LABEL, OWNER
from cgbench.errors import EngineError


class Networks:
    """Makes, finds and removes them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._api = connection.api

    @contextmanager
    def internal(self, name: str, run: str, owner: str) -> Iterator[str]:
        """Make a bridge that leads nowhere else, and yield its identity.

        Raises EngineError where the daemon cannot make one.
        """
        identity = str(
            self._connection.part(
                self._connection.call(
                    self._api.create_network,
                    name,
                    driver="bridge",
                    internal=True,
                    labels={LABEL: run, OWNER: owner},
                ),
                "Id",
            )
        )
        try:
            yield identity
        finally:
            self.remove(identity)

    def address(self, container_id: str) -> str:
        """Return the address of a container in the only network that it is in.

        Raises EngineError where it has none.
        """
        inspected = self._connection.inspected(container_id)
        networks = self._connection.part(inspected, "NetworkSettings", "Networks")
        found = [str(one.get("IPAddress") or "") for one in dict(networks).values()]
        if len(found) != 1 or not found[0]:
            raise EngineError(
                f"{container_id[:12]} has {len(found)} networks, and no address in one of its own"
            )
        return found[0]

    def leftovers(self, is_dead: Callable[[str], bool] = lambda owner: True) -> list[str]:
        """Return the networks that cgbench made, and whose owner `is_dead`."""
        found = self._connection.call(self._api.networks, filters={"label": LABEL})
        return [
            str(self._connection.part(one, "Id"))
            for one in found
            if is_dead(str((self._connection.part(one, "Labels") or {}).get(OWNER, "")))
        ]

    def remove(self, identity: str) -> None:
        """Remove a network; one that is gone already is fine. Raises EngineError where it is used.

        Containers in it must be gone.
        """
        try:
            self._api.remove_network(identity)
        except docker.errors.NotFound:
            return
        except CLIENT_ERRORS as error:
            raise self._connection.failure(error) from error
