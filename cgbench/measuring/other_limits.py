"""Limits beside the files of a change: what Docker declares, and what nobody asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cgbench.engine.engine import Engine
from cgbench.measuring.container import Running, interface_paths, text
from cgbench.records.other_limits import Inspected, Unasked
from cgbench.records.trial import together
from cgbench.spec.option import Settings
from cgbench.spec.options import OPTIONS, option
from cgbench.spec.schedule import PlannedStep

Texts = Mapping[str, str | None]
"""What is said of options, by name."""

Files = Mapping[tuple[str, Path], str | None]
"""The texts of files, by the container that they limit."""


def declared(engine: Engine, container_id: str, settings: Settings) -> dict[str, str | None]:
    """Return what `docker inspect` says of these options, None where it says nothing."""
    config = engine.declared(container_id)
    return {name: option(name).declared(config.get(option(name).field)) for name in settings}


def by_docker_alone(settings: Settings) -> Settings:
    """Return the options that no kernel has a file for: Docker's record is all there is of them."""
    return {name: value for name, value in settings.items() if not option(name).in_kernel}


def inspected(settings: Settings, before: Texts, after: Texts, held: Texts) -> Iterator[Inspected]:
    """Yield what was declared of each option that was set."""
    for name, value in settings.items():
        one = option(name)
        asked = one.declared(one.parse(value))
        if asked is not None:
            yield Inspected(
                option=name, asked=asked, before=before.get(name), after=after.get(name),
                held=held.get(name),
            )  # fmt: skip


def all_files(containers: Sequence[Running]) -> dict[tuple[str, Path], str | None]:
    """Read every interface file of every option on every container."""
    every = dict.fromkeys(OPTIONS, 0)
    return {
        (container.spec.role, path): text(path)
        for container in containers
        for path in interface_paths(container.cgroup, every)
    }


def of_option(held: Files, running: Sequence[Running], name: str) -> Iterator[tuple[str, str]]:
    """Yield each container whose files were read, with what those of an option say together."""
    for container in running:
        paths = interface_paths(container.cgroup, {name: 0})
        text_of = together(held.get((container.spec.role, path)) for path in paths)
        if text_of is not None:
            yield container.spec.role, text_of


def unasked(before: Files, held: Files, container: Running, step: PlannedStep) -> Iterator[Unasked]:
    """Yield what changed besides the files of the options that a step sets on a container.

    A group that has gone changed nothing.
    """
    asked = interface_paths(container.cgroup, step.settings)
    for (role, path), was in before.items():
        now = held.get((role, path))
        mine = role == container.spec.role and path in asked
        if was is not None and now is not None and was != now and not mine:
            yield Unasked(role=role, file=path.name, before=was, held=now)
