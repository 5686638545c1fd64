"""What `cgbench watch` sees: readings of containers, and marks where something changed."""

from __future__ import annotations

from typing import Literal

from cgbench.records.audit import Found
from cgbench.records.cause import Cause
from cgbench.spec.fields import Foreign, Label
from cgbench.spec.model import Model

MarkKind = Literal[
    "changed", "came", "ended", "killed", "refused", "daemon gone", "daemon back", "differs"
]
"""What a mark is of: a limit, a container, a kill for want of memory, a fork or an update that was
refused, the daemon, or a limit that was not what it says at the first look.
"""


class Mark(Model):
    """Something that changed, in UTC: of a container, or, where `id` is empty, of the host.

    `path` is the interface file, `before` and `after` its texts. `just_before` is what is known to
    have happened right before that, None where nothing is. `reason` says what it means,
    `cause` why a container ended or was refused something, as was known at that moment.
    """

    kind: MarkKind
    at: Label
    id: Label = ""
    name: Label = ""
    limit: Label | None = None
    path: Foreign | None = None
    before: Foreign | None = None
    after: Foreign | None = None
    just_before: Foreign | None = None
    finding: Found | None = None
    reason: Foreign = ""
    cause: Cause | None = None


class Reading(Model):
    """One container at one moment: CPUs, bytes and tasks, used and allowed; None where unknown.

    `throttled_pct` is the share of the periods since the reading before. `kills` and
    `refused_forks` are totals.
    """

    id: Label
    name: Label
    state: Label
    cpus: float | None = None
    cpus_limit: float | None = None
    throttled_pct: float | None = None
    memory_bytes: int | None = None
    memory_limit: float | None = None
    tasks: int | None = None
    tasks_limit: float | None = None
    kills: int | None = None
    refused_forks: int | None = None


class Look(Model):
    """All containers at one moment, and what changed since the look before."""

    at: Label
    readings: tuple[Reading, ...]
    marks: tuple[Mark, ...] = ()
