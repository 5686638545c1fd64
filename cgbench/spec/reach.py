"""What a workload comes up to in time, if the limits on its container are obeyed."""

from __future__ import annotations

from dataclasses import dataclass

from cgbench.spec.option import Settings
from cgbench.units import parse_size

REACHED = ("restarts", "tasks_max", "memory_max_bytes", "memory_swap_max_bytes")
"""The metrics that begin below what is expected and grow up to it: a slow host is late there."""


@dataclass(frozen=True)
class Reach:
    """What one container wants: bytes to hold, tasks to start, to end with a status.

    `tasks_let_in` is the highest limit on tasks since it began: a lower one kills nobody.
    """

    settings: Settings
    size: int = 0
    tasks: int = 0
    tasks_let_in: int = 0
    exit_status: int = 0

    def of(self, metric: str) -> float | None:
        """Return what one of REACHED comes up to, None where nothing keeps it there."""
        settings = self.settings
        if metric == "restarts":
            return _restarts(str(settings.get("restart", "no")), self.exit_status)
        if metric == "tasks_max":
            limit = max(int(settings.get("pids-limit", 0)), self.tasks_let_in)
            return float(limit) if 0 < limit <= self.tasks else None
        option = {"memory_max_bytes": "memory", "memory_swap_max_bytes": "memory-swap"}.get(metric)
        if option is None:
            return None
        limit_bytes = in_bytes(settings.get(option))
        return None if limit_bytes is None or self.size < limit_bytes else float(limit_bytes)


def _restarts(policy: str, exit_status: int) -> float | None:
    """Return how often a policy starts a container again that ends at once; None if for ever."""
    name, _, most = policy.partition(":")
    if name == "no" or (name == "on-failure" and exit_status == 0):
        return 0.0
    return float(most) if name == "on-failure" and most else None


def in_bytes(value: object) -> int | None:
    """Return a size that an option was set to, None where it sets no limit."""
    if value is None:
        return None
    size = parse_size(value) if isinstance(value, str) else int(str(value))
    return size if size > 0 else None
