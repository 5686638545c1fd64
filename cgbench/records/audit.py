"""What an audit came to: the limits of containers that run, each with its layers and a finding."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from cgbench.records.elsewhere import Elsewhere
from cgbench.records.versions import AUDIT
from cgbench.spec.fields import Foreign, Label, MetricName
from cgbench.spec.model import Model

LimitName = Literal[
    "cpus", "cpu-weight", "cpuset", "memory", "memory-swap", "memory-reservation", "pids",
    "io-weight", "device-throttle",
]  # fmt: skip
"""What is limited, by one name for all options and kernels that limit it."""

NO_LIMIT = 2**62
"""An unlimited counter of v1 is the largest multiple of a page below 2^63."""

ENDLESS = -1.0
"""What is declared where somebody declared that there is no limit, and did not just declare none.
"""

Amount = float | str
"""A limit in base units (CPUs, bytes, tasks), a weight, or a list of CPUs."""


class Found(StrEnum):
    """What an audit says of one limit, the worst first."""

    DIFFERS = "differs"
    ABSENT = "absent"
    NO_EFFECT = "no effect"
    UNDECLARED = "undeclared"
    TIGHTER_ABOVE = "tighter above"
    UNREAD = "unread"
    IN_FORCE = "in force"
    UNLIMITED = "unlimited"

    @property
    def good(self) -> bool:
        """Whether the limit is what it says."""
        return self in (Found.IN_FORCE, Found.UNLIMITED)


class Bound(Model):
    """What binds: the container's own group, one above, one elsewhere that all of its processes are
    in, their affinity, what their user may have on the whole host, or the host.
    """

    kind: Literal["container", "ancestor", "elsewhere", "affinity", "user", "host", "none"]
    path: Foreign | None = None


class Limit(Model):
    """One limit of one container.

    `declared` is Docker's, `managed` a compose file's, None where it declares none, and -1 where it
    declares that there be no limit. `expected` and
    `files` are texts by the path of the interface file, None where a file is absent. `effective`
    is the tightest of the container and all above. `proof` is what proves a finding by its path,
    the text or a part of it, where `files` do not. `felt` has None where the kernel counts nothing.
    """

    limit: LimitName
    declared: Amount | None
    managed: Amount | None = None
    expected: Mapping[Foreign, Foreign | None]
    files: Mapping[Foreign, Foreign | None]
    effective: Amount | None
    bound_by: Bound
    felt: Mapping[MetricName, float | None]
    finding: Found
    reason: Foreign
    proof: Mapping[Foreign, Foreign] = {}

    @property
    def proven_by(self) -> tuple[str, ...]:
        """The paths of files that prove the finding."""
        return tuple(self.proof or self.files)


class Audited(Model):
    """One container; `unread` says why it has no limits here, None where it has."""

    id: Label
    name: Label
    image: Label
    state: Label
    manager: Label | None
    limits: tuple[Limit, ...] = ()
    unread: Foreign | None = None

    @property
    def worst(self) -> Found:
        """The worst finding on it."""
        found = {one.finding for one in self.limits}
        return next((one for one in Found if one in found), Found.UNLIMITED)


class Missed(Model):
    """What somebody expects of a limit, and a container does not keep: as `memory<=512m`.

    `effective` is null where nothing limits it, or the container was not read: `reason` says which.
    """

    container: Label
    limit: LimitName
    expected: Label
    effective: Amount | None
    reason: Foreign


class Audit(Model):
    """An audit of a host at one moment; containers with findings first, then those not read.

    `missed` is what `--expect` asked for and is not so. `elsewhere` is what was measured of the
    limits' options on a host like this one, where somebody asked for it and there is one.
    """

    schema_version: int = AUDIT.written
    hostname: Label
    at: Label
    seconds: float
    containers: tuple[Audited, ...]
    missed: tuple[Missed, ...] = ()
    elsewhere: Elsewhere | None = None

    @property
    def unread(self) -> int:
        """How many containers were not read."""
        return sum(one.unread is not None for one in self.containers)

    @property
    def findings(self) -> list[tuple[Audited, Limit]]:
        """Return every limit that is not what it says."""
        return [
            (container, limit)
            for container in self.containers
            for limit in container.limits
            if not limit.finding.good
        ]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**self.model_dump(mode="json"), "findings": len(self.findings)}
