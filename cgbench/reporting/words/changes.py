"""The changes of a trial, grouped by the values before and after them, and their direction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cgbench.judging.estimates import OF_A_CPU, UNLIMITED, numeric, worded
from cgbench.records.trial import Phase, TrialRecord
from cgbench.spec.conversions import DEFAULT_PERIOD_US, bandwidth
from cgbench.spec.experiment import Experiment
from cgbench.spec.options import option
from cgbench.spec.schedule import labelled

# Where one of these was never set, there is no limit.
_CAPS = frozenset({"cpus", "cpu-quota", "memory", "memory-swap", "pids-limit"})


class Direction(StrEnum):
    """Whether the option's number went up or down; `set` where it has no such order."""

    RAISED = "raised"
    LOWERED = "lowered"
    SET = "set"


@dataclass(frozen=True)
class Kind:
    """What all repetitions of one change have in common; `before` and `after` are in words.

    `ratio` is the new number by the old, None where either is no number; `period_us` is the
    bandwidth period after the change.
    """

    role: str
    option: str
    before: str
    after: str
    direction: Direction
    ratio: float | None
    period_us: int

    @property
    def words(self) -> str:
        """The change in words: `10 % → 25 % of a CPU`."""
        if OF_A_CPU in self.before and OF_A_CPU in self.after:
            return f"{self.before.replace(OF_A_CPU, '')} → {self.after}"
        return f"{self.before} → {self.after}"

    @property
    def short(self) -> str:
        """The change for a plot's tick: `10 → 25 %`."""
        before, after = (text.replace(OF_A_CPU, "") for text in (self.before, self.after))
        number, _, unit = before.partition(" ")
        same_unit = unit and after.endswith(f" {unit}")
        return f"{number if same_unit else before} → {after}"


def kinds(trial: TrialRecord, experiment: Experiment) -> dict[int, Kind]:
    """Return the kind of the change that began each phase, by the phase's number."""
    found: dict[int, Kind] = {}
    latest: dict[str, Phase] = {}
    born = {one.role: one.options for one in experiment.containers}
    for phase in trial.phases:
        settings = latest[phase.role].settings if phase.role in latest else born[phase.role]
        found[phase.number] = _kind(phase, settings)
        latest[phase.role] = phase
    return found


def _kind(phase: Phase, before: Mapping[str, int | float | str]) -> Kind:
    name = phase.option
    old = str(before[name]) if name in before else None
    declared = phase.change.settings
    was, now = _number(name, old), _number(name, str(declared.get(name)))
    direction = Direction.SET
    if was is not None and now is not None and was != now:
        direction = Direction.RAISED if now > was else Direction.LOWERED
    return Kind(
        role=phase.role,
        option=name,
        before=UNLIMITED if old is None and was == math.inf else _words(name, old, before),
        after=labelled(worded(name, phase.requested, phase.settings), phase.change.note),
        direction=direction,
        ratio=now / was if was and now and math.isfinite(was) and math.isfinite(now) else None,
        period_us=bandwidth(phase.settings)[1],
    )


def _number(name: str, value: str | None) -> float | None:
    """Return a value as a number, infinity where it is no limit, None where it is no number."""
    if value is None:
        return math.inf if name in _CAPS else None
    if value == str(option(name).lifted):
        return math.inf
    return numeric(name, value)


def _words(name: str, value: str | None, settings: Mapping[str, int | float | str]) -> str:
    return "default" if value is None else worded(name, value, settings)


def clearest(many: Sequence[Kind]) -> list[Kind]:
    """Return the raising and the lowering change that show an effect best, or else the first.

    That is the one with the largest ratio whose period still shows milliseconds.
    """
    chosen = []
    for direction in (Direction.RAISED, Direction.LOWERED):
        candidates = [kind for kind in many if kind.direction is direction and kind.ratio]
        if candidates:
            chosen.append(max(candidates, key=_clarity))
    return chosen or list(many[:1])


def _clarity(kind: Kind) -> tuple[bool, float]:
    return kind.period_us <= DEFAULT_PERIOD_US, abs(math.log(kind.ratio or 1.0))
