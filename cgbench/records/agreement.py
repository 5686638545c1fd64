"""What must agree before runs are pooled, compared or put into one series: one registry of keys."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cgbench.errors import BaselineError
from cgbench.records.host import Host
from cgbench.records.run import RunRecord
from cgbench.spec.experiment import Experiment

# A schedule that differs in more is another one altogether.
_MOST_LINES = 4
# What does not change what is measured.
_ABOUT = ("name", "title", "question", "trials", "quick", "verify", "gate")
# Keys that came later.
_SINCE = ("group_options", "shares", "requests", "slices", "programs", "drives", "settle", "needs")


class Measured(Protocol):
    """Whatever knows what was measured, and where: a baseline, or the conditions of a run."""

    @property
    def experiment(self) -> str:
        """The experiment's name."""

    @property
    def schedule(self) -> str:
        """The digest of its steps."""

    @property
    def image(self) -> str:
        """The image of the containers."""

    @property
    def host(self) -> Host:
        """The host."""


@dataclass(frozen=True)
class Conditions:
    """What a run measured, and where; `described` has a line for each thing a schedule says."""

    experiment: str
    schedule: str
    described: tuple[str, ...]
    image: str
    host: Host


@dataclass(frozen=True)
class Key:
    """One thing that may differ between runs; `words` are what a reader calls it.

    `compared` must agree before two sides are compared, unless it is allowed to differ. Where
    `identity` differs, a host is another one on a page. `series` is the same for all of a
    history's series, which shows the changes of all others.
    """

    name: str
    words: str
    of: Callable[[Measured], object]
    compared: bool = True
    identity: bool = False
    series: bool = False

    def text(self, side: Measured) -> str:
        """Return its value as text."""
        value = self.of(side)
        return "not recorded" if value is None else str(value)


HOST_KEYS = (
    Key("hostname", "host", lambda one: one.host.hostname, identity=True, series=True),
    Key("kernel", "kernel", lambda one: one.host.kernel, identity=True),
    Key("cpu_model", "CPU model", lambda one: one.host.cpu_model, series=True),
    Key("cpus", "CPUs", lambda one: one.host.cpus),
    Key("cgroup", "cgroup", lambda one: one.host.cgroup, identity=True),
    Key("cgroup_driver", "cgroup driver", lambda one: one.host.cgroup_driver),
    Key("engine", "engine", lambda one: one.host.engine),
    Key("docker", "Docker", lambda one: one.host.docker, identity=True),
    Key("runtime", "runtime", lambda one: one.host.runtime),
    Key("runc", "runc", lambda one: one.host.runc),
    Key("systemd", "systemd", lambda one: one.host.systemd),
    Key("memory_nodes", "memory nodes", lambda one: one.host.memory_nodes),
)
"""What trials must share to be pooled into one run: the host, and all that runs them."""

PACKAGES = Key("image_packages", "the image's packages", lambda one: one.host.image_packages)
"""One tag need not be one image: each host builds its own, from the packages of that day."""

PROGRAMS = Key("program_images", "the programs' images", lambda one: one.host.programs_words)
"""A name that means one image today may mean another one tomorrow."""

KEYS = (
    Key("experiment", "experiment", lambda one: one.experiment, series=True),
    Key("schedule", "schedule", lambda one: one.schedule),
    Key("image", "image", lambda one: one.image),
    PACKAGES,
    PROGRAMS,
    *HOST_KEYS,
    Key("cgbench", "cgbench", lambda one: one.host.cgbench, compared=False),
)
"""Every key."""

COMPARED = tuple(key for key in KEYS if key.compared)
"""What must agree, or be allowed to differ, before two sides are compared."""

ALLOWABLE = tuple(key for key in COMPARED if key.name != "experiment")
"""What may be allowed to differ: two experiments have no value in common to compare."""

SHIFTING = tuple(key for key in KEYS if not key.series)
"""What may change within a series of a history, and is then shown."""

Identity = tuple[str, ...]
"""What distinguishes a host from others on a page."""


def conditions(record: RunRecord) -> Conditions:
    """Return what a run measured, and where."""
    spec = record.experiment
    described = tuple(_lines("", spec.model_dump(mode="json", exclude=set(_ABOUT))))
    return Conditions(spec.name, schedule_digest(spec), described, record.image, record.host)


def schedule_digest(experiment: Experiment) -> str:
    """Return a digest of everything in an experiment that changes what is measured."""
    content = _said(experiment.model_dump(mode="json", exclude=set(_ABOUT)))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _said(value: Any) -> Any:
    """Return a part of a document without newer keys that say nothing.

    Digests of an older cgbench were made without them.
    """
    if isinstance(value, list):
        return [_said(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: _said(one) for key, one in value.items() if key not in _SINCE or one}


def _lines(place: str, value: object) -> Iterator[str]:
    """Yield every single value of a document with its place: `steps.2.set.memory = "64m"`."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _lines(f"{place}.{name}" if place else str(name), one)
    elif isinstance(value, list):
        for number, one in enumerate(value, 1):
            yield from _lines(f"{place}.{number}", one)
    elif value is not None:
        yield f"{place} = {json.dumps(value, ensure_ascii=False)}"


def apart(here: Sequence[str], there: Sequence[str]) -> tuple[str, str] | None:
    """Return what only one of two described schedules says, each as a text.

    None where one of them is not described: an older cgbench kept only the digest.
    """
    if not here or not there:
        return None
    return _only_in(here, there), _only_in(there, here)


def _only_in(some: Sequence[str], others: Sequence[str]) -> str:
    known = set(others)
    only = [line for line in some if line not in known]
    more = f", and {len(only) - _MOST_LINES} more" if len(only) > _MOST_LINES else ""
    return ", ".join(only[:_MOST_LINES]) + more or "none of that"


def differing(here: Measured, there: Measured, keys: Iterable[Key]) -> list[Key]:
    """Return the keys in which two sides differ; what one of them did not record does not."""
    return [
        key
        for key in keys
        if None not in (key.of(here), key.of(there)) and key.text(here) != key.text(there)
    ]


def identity(host: Host) -> Identity:
    """Return what distinguishes a host from others."""
    return tuple(str(getattr(host, key.name)) for key in HOST_KEYS if key.identity)


def require_known(allow: Iterable[str]) -> None:
    """Raise BaselineError where a name is none of a key that may be allowed to differ."""
    known = names(ALLOWABLE)
    for key in allow:
        if key not in known:
            raise BaselineError(f"--allow {key}: no such key", f"Keys: {', '.join(known)}.")


def names(keys: Sequence[Key]) -> tuple[str, ...]:
    """Return the names of keys, as `--allow` takes them."""
    return tuple(key.name for key in keys)
