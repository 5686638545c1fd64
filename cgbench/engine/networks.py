"""Networks of one daemon that are made for a trial: inside of one host only, and removed always."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlencode

from cgbench.engine.connection import Connection
from cgbench.engine.labels import LABEL, OWNER
from cgbench.errors import EngineError


class Networks:
    """Makes, finds and removes them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextmanager
    def internal(self, name: str, run: str, owner: str) -> Iterator[str]:
        """Make a bridge that leads nowhere else, and yield its identity.

        Raises EngineError where the daemon cannot make one.
        """
        asked = {
            "Name": name, "Driver": "bridge", "Internal": True, "CheckDuplicate": True,
            "Labels": {LABEL: run, OWNER: owner},
        }  # fmt: skip
        reply, answer = self._connection.ask("/networks/create", asked)
        if answer.refusal is not None:
            raise EngineError(f"cannot make the network {name}: {answer.refusal}")
        identity = str(self._connection.part(self._connection.json(reply), "Id"))
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
        query = urlencode({"filters": json.dumps({"label": [LABEL]})})
        return [
            str(self._connection.part(one, "Id"))
            for one in self._connection.listed(f"/networks?{query}")
            if is_dead(str((self._connection.part(one, "Labels") or {}).get(OWNER, "")))
        ]

    def remove(self, identity: str) -> None:
        """Remove a network; one that is gone already is fine. Raises EngineError where it is used.

        Containers in it must be gone.
        """
        reply = self._connection.request("DELETE", f"/networks/{quote(identity, safe='')}")
        if reply.status >= 400 and reply.status != 404:
            raise EngineError(f"Docker refused: {reply.message}")
