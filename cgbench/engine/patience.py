"""How long a daemon is waited for, and what it means where no answer comes."""

from __future__ import annotations

from cgbench.engine.endpoint import Endpoint
from cgbench.errors import NoAnswer

_HUNG_S = 5.0
_HANGS = "Check the daemon (docker info, its log); restart it if it hangs."


class Patience:
    """Knows how long one daemon is waited for: `usual_s`, and less once it did not answer."""

    def __init__(self, endpoint: Endpoint, usual_s: float) -> None:
        self.usual_s = usual_s
        self.hung = False
        self._endpoint = endpoint

    @property
    def limit_s(self) -> float:
        """How long an answer is waited for now."""
        return min(_HUNG_S, self.usual_s) if self.hung else self.usual_s

    def lost(self, limit_s: float) -> NoAnswer:
        """Return what it means that nothing came within `limit_s`; wait less from now on."""
        self.hung = True
        return self.late(limit_s)

    def late(self, limit_s: float) -> NoAnswer:
        """Return what it means that nothing came within a limit of the request's own."""
        return NoAnswer(
            f"Docker at {self._endpoint.words} did not answer within {limit_s:g} s", _HANGS
        )

    def broken(self, cause: str) -> NoAnswer:
        """Return what it means that a request failed before it was answered."""
        return NoAnswer(f"Docker does not answer: {cause}", _HANGS)
