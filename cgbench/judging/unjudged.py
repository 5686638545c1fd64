"""The values of a run that no figure speaks of: refused, never measured, or without a reading."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cgbench.judging.estimates import worded
from cgbench.judging.run import Run
from cgbench.records.run import PointKey
from cgbench.records.trial import Phase
from cgbench.spec.option import Settings, written
from cgbench.spec.schedule import labelled, steps

State = Literal["refused", "not measured", "no reading"]


@dataclass(frozen=True)
class Unjudged:
    """One value that was asked for, on its container, and why it has no figure, or not each time.

    `settings` were asked for together.
    """

    key: PointKey
    settings: Settings
    state: State
    reason: str

    @property
    def words(self) -> str:
        """The value as a reader thinks of it, with its note."""
        key = self.key
        return labelled(worded(key.option, key.requested, self.settings), key.note)

    @property
    def raw(self) -> str:
        """The options as typed on Docker's command line."""
        return written(self.settings)

    def to_json(self) -> dict[str, str | None]:
        """Return it as `cgbench show RUN --json` gives it."""
        return {**self.key._asdict(), "state": self.state, "reason": self.reason}


def unjudged(run: Run) -> tuple[Unjudged, ...]:
    """Return every such value, in the order of the schedule. One that Docker refused only
    now and then has figures, too.
    """
    asked = {
        PointKey(step.role, step.option, step.via, step.requested, step.note): step.settings
        for step in steps(run.record.experiment, run.record.host.cpus)
        if not step.prepares
    }
    phases: dict[PointKey, list[Phase]] = {key: [] for key in asked}
    for trial in run.finished:
        for phase in trial.phases:
            if (key := phase.point()) in phases and not phase.prepares:
                phases[key].append(phase)
    read = {row.key for row in run.rows}
    found = []
    for key, settings in asked.items():
        why = _why(phases[key], read=key in read)
        if why is not None:
            found.append(Unjudged(key, settings, *why))
    return tuple(found)


def _why(phases: Sequence[Phase], *, read: bool) -> tuple[State, str] | None:
    refused = [phase.change.error for phase in phases if phase.change.error is not None]
    if refused:
        often = "" if len(refused) == len(phases) else f"{len(refused)} of {len(phases)} times: "
        return "refused", often + plain(refused[0])
    if read:
        return None
    if not phases:
        return "not measured", "no finished trial came to it"
    return "no reading", "the change was accepted, and no sample belongs to it"


def plain(refusal: str) -> str:
    """Return a refusal without the command, line ends and the rest of long identities."""
    reason = " ".join(refusal.rpartition(" was refused: ")[2].split())
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1", reason).removesuffix(" : unknown")
