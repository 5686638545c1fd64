"""Which of a daemon's containers somebody means: by name, identity, label or project."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from cgbench.engine.engine import Engine, Listed
from cgbench.errors import EngineError
from cgbench.foreign import printable

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
# At most so many names stand in an error.
_NAMED = 5


@dataclass(frozen=True)
class Wanted:
    """Which containers: named ones, or all of a label or compose project; `stopped` ones, too."""

    names: Sequence[str] = ()
    labels: Sequence[str] = ()
    project: str | None = None
    stopped: bool = False


def chosen(wanted: Wanted, engine: Engine) -> list[Listed]:
    """Return the containers that are wanted. Raises EngineError where a name fits none or many."""
    every = engine.listed(stopped=wanted.stopped or bool(wanted.names))
    if wanted.names:
        named = [_named(name, every) for name in wanted.names]
        return list({one.container_id: one for one in named}.values())
    labels = dict(one.partition("=")[::2] for one in wanted.labels)
    if wanted.project is not None:
        labels[PROJECT] = wanted.project
    return [
        one
        for one in every
        if all(
            one.labels.get(key) == value if value else key in one.labels
            for key, value in labels.items()
        )
    ]


def _named(name: str, every: Sequence[Listed]) -> Listed:
    exact = [one for one in every if name in (one.name, one.container_id)]
    fitting = exact or [one for one in every if one.container_id.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        ids = ", ".join(one.container_id[:12] for one in fitting[:_NAMED])
        raise EngineError(f"{printable(name)} fits {len(fitting)} containers: {ids}",
                          "Write more of the identity.")  # fmt: skip
    near = difflib.get_close_matches(name, [one.name for one in every], 1)
    advice = f"Did you mean {printable(near[0])}?" if near else "List them: docker ps -a."
    raise EngineError(f"no container called {printable(name)}", advice)
