"""Which of a daemon's containers somebody means: by name, identity, label or project."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cgbench.engine.engine import Engine
from cgbench.engine.facts import Listed
from cgbench.errors import EngineError
from cgbench.foreign import printable
from cgbench.wording import count

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

    @property
    def all_labels(self) -> dict[str, str]:
        """The labels that a container must have, with no value where any will do."""
        labels = dict(one.partition("=")[::2] for one in self.labels)
        return labels if self.project is None else {**labels, PROJECT: self.project}


def chosen(wanted: Wanted, engine: Engine) -> list[Listed]:
    """Return the containers that are wanted.

    Raises EngineError where a name fits none or many, or no container has a label or project: a
    word that is misspelt would else be taken for a host on which all is well.
    """
    every = engine.listed(stopped=wanted.stopped or bool(wanted.names))
    if wanted.names:
        named = [_named(name, every) for name in wanted.names]
        return list({one.container_id: one for one in named}.values())
    found = labelled(wanted, every)
    if not found and wanted.all_labels:
        resting = () if wanted.stopped else labelled(wanted, engine.listed(stopped=True))
        raise EngineError(_nobodys(wanted), _nearest(wanted, every, len(resting)))
    return found


def labelled(wanted: Wanted, every: Sequence[Listed]) -> list[Listed]:
    """Return those of some containers that have every label that is wanted."""
    return [
        one
        for one in every
        if all(
            one.labels.get(key) == value if value else key in one.labels
            for key, value in wanted.all_labels.items()
        )
    ]


def _nobodys(wanted: Wanted) -> str:
    words = [f"has the label {printable(one)}" for one in wanted.labels]
    if wanted.project is not None:
        words.append(f"is of the compose project {printable(wanted.project)}")
    return f"no {'' if wanted.stopped else 'running '}container {' and '.join(words)}"


def _nearest(wanted: Wanted, every: Sequence[Listed], resting: int) -> str:
    """Name the labels and projects that there are, the nearest first."""
    if resting:
        return (
            f"{count(resting, 'container')} of that kind {'do' if resting > 1 else 'does'} not run."
        )
    said = []
    if wanted.project is not None:
        there = {one.labels[PROJECT] for one in every if PROJECT in one.labels}
        said.append(_named_near("projects", wanted.project, there))
    for label in wanted.labels:
        there = {
            f"{key}={value}" if "=" in label else key
            for one in every
            for key, value in one.labels.items()
        }
        said.append(_named_near("labels", label, there))
    return " ".join(said)


def _named_near(what: str, word: str, there: Collection[str]) -> str:
    near = difflib.get_close_matches(word, there, _NAMED)
    if near:
        return f"Did you mean {' or '.join(map(printable, near))}?"
    if not there:
        return "No running container has any."
    more = ", ..." if len(there) > _NAMED else ""
    return f"There are the {what} {', '.join(map(printable, sorted(there)[:_NAMED]))}{more}."


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
