"""One value that was tried: what Docker, the kernel and the workload say of it together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cgbench.judging import enforced
from cgbench.judging.departure import Departure, worst
from cgbench.judging.enforced import IMPRECISE_PCT, Neighbours
from cgbench.judging.excuse import Excuse
from cgbench.judging.summary import Estimate
from cgbench.records.run import PointKey
from cgbench.records.trial import Awaited, Phase
from cgbench.records.verdict import Outcome
from cgbench.spec.metrics import METRICS
from cgbench.spec.options import option
from cgbench.units import format_duration
from cgbench.wording import quantity, signed

_WORST_FIRST = (Outcome.WRONG, Outcome.INCONCLUSIVE, Outcome.IMPRECISE, Outcome.EFFECTIVE)


@dataclass(frozen=True)
class Shown:
    """The estimate of another metric by which a value is judged as well.

    `most` is the greatest of what it rests on. `above` names what keeps it from more.
    """

    metric: str
    felt: Estimate
    most: float
    excuse: Excuse | None
    above: str | None = None


@dataclass(frozen=True)
class Tried:
    """Everything known of one value on one container.

    `phases` are those in which it was asked for. `felt` is the estimate of the judged `metric`,
    None where it was not read: though it should have been, if it was `awaited`. `most` is the
    greatest of what it rests on. What is shown `besides` must hold, too. `above` names a group
    above the container's that allows less.
    `beside` are the neighbours of each phase, none where they are not known. `missed` says why
    updates of it reached nobody, None where none did; their phases are left out.
    """

    key: PointKey
    phases: Sequence[Phase]
    metric: str | None
    felt: Estimate | None
    awaited: bool
    excuse: Excuse | None
    besides: tuple[Shown, ...] = ()
    above: str | None = None
    most: float | None = None
    beside: tuple[Neighbours, ...] = ()
    missed: str | None = None

    @property
    def accepted(self) -> list[Phase]:
        """The phases that began with an update that Docker accepted."""
        return [phase for phase in self.phases if phase.change.error is None]


@dataclass(frozen=True)
class Judged:
    """What became of one value; `became` says it in the words by which values are counted.

    `shown` says that a workload showed it, `due` that any file had to change for it, and
    `departed` that the kernel held something else.
    """

    tried: Tried
    outcome: Outcome
    became: str
    reason: str
    shown: bool = False
    due: bool = True
    departed: bool = False
    yet_changed: str | None = None

    @property
    def held(self) -> bool:
        """Whether Docker accepted it, and a file of the kernel held it to the end."""
        files = any(phase.change.files for phase in self.tried.accepted)
        return files and not self.departed


def judge(tried: Tried) -> Judged:
    """Judge one value by all three layers, the first that departs deciding."""
    accepted, refused = tried.accepted, [one for one in tried.phases if one.change.error]
    if not tried.phases:
        reason = tried.missed or f"{tried.key.label} was never measured"
        return Judged(tried, Outcome.INCONCLUSIVE, "never measured", reason)
    if not refused:
        return _accepted(tried, accepted)
    changed = next((found for one in refused if (found := enforced.yet_changed(one))), None)
    reason = f"{refused[0].change.error}{f'; yet {changed}' if changed else ''}"
    if not accepted:
        return Judged(tried, Outcome.REJECTED, "refused", reason, yet_changed=changed)
    judged = replace(_accepted(tried, accepted), yet_changed=changed)
    if judged.outcome in (Outcome.EFFECTIVE, Outcome.IMPRECISE):
        reason = f"in {len(refused)} of {len(tried.phases)} phases {reason}"
        return replace(judged, outcome=Outcome.PARTIAL, became="partly refused", reason=reason)
    return judged


def _accepted(tried: Tried, accepted: Sequence[Phase]) -> Judged:
    """Judge a value by the phases in which Docker accepted it."""
    departed, felt = _departed(tried, accepted), _by_all(tried)
    if departed is None:
        return replace(felt, due=any(map(enforced.due, accepted)))
    outcome = departed.outcome
    if outcome is Outcome.IMPRECISE and felt.outcome is Outcome.WRONG:
        # The kernel nearly holds it, and the workload follows neither.
        return replace(felt, departed=True)
    became = "without a reading" if outcome is Outcome.INCONCLUSIVE else outcome.value
    shown = outcome is Outcome.IMPRECISE and felt.shown
    return Judged(tried, outcome, became, departed.reason, shown=shown, departed=True)


def described(tried: Tried) -> str:
    """Return the figures that the workload shows at a value."""
    one = tried.felt
    assert one is not None
    expected = one.expected or 0.0
    off = "" if one.error_pct is None else f" ({signed(one.error_pct, 2)} %)"
    if one.unit in ("bytes", "bytes/s"):
        figures = f"{quantity(one.median, one.unit)} of {quantity(expected, one.unit)}"
    else:
        figures = f"{one.median:.5g} {one.unit} of {expected:.5g}"
    return f"at {tried.key.label}, {tried.metric} was {figures}{off}"


def distance(tried: Tried) -> float:
    """Return how far the workload is from what is expected: in percent, if that can be said."""
    one = tried.felt
    if one is None or one.expected is None:
        return 0.0
    return abs(one.median - one.expected if one.error_pct is None else one.error_pct)


def _departed(tried: Tried, accepted: Sequence[Phase]) -> Departure | None:
    """Return how the kernel departs: the worst of all phases, with in how many of them."""
    neighbours = dict(zip(map(id, tried.phases), tried.beside, strict=False))
    each = (enforced.departure(one, neighbours.get(id(one), Neighbours())) for one in accepted)
    found = [one for one in each if one is not None]
    if not found:
        return _nowhere(tried, accepted)
    departed = worst(found)
    if len(found) == len(accepted):
        return departed
    # Dropped now and then is neither ignored nor held.
    now_and_then = departed.outcome in (Outcome.IGNORED, Outcome.DISCARDED)
    outcome = Outcome.WRONG if now_and_then else departed.outcome
    return Departure(outcome, f"in {len(found)} of {len(accepted)} phases {departed.reason}")


def _nowhere(tried: Tried, accepted: Sequence[Phase]) -> Departure | None:
    """Say that the kernel has no interface file for an accepted value, None if it has one.

    Options that no kernel has a file for are Docker's to obey: only a workload can show them.
    """
    shown = tried.felt is not None and tried.felt.within is not None
    known = any(phase.change.files for phase in accepted)
    if shown or known or not accepted or not option(tried.key.option).in_kernel:
        return None
    warned = sorted({text for phase in accepted for text in phase.change.warnings})
    nowhere = "this kernel has no interface file for the option"
    if warned:
        return Departure(
            Outcome.DISCARDED, f"accepted with the warning {warned[0]!r}; {nowhere}"
        )  # fmt: skip
    asked = any(phase.change.via != "cgroupfs" for phase in accepted)
    who = "Docker answered ok" if asked else "nothing could be written"
    return Departure(Outcome.IGNORED, f"{who}; {nowhere}")


def _by_all(tried: Tried) -> Judged:
    """Judge a value by all that is shown, of which the worst counts; of equals the first."""
    others = [_besides(tried, one) for one in tried.besides if one.felt.within is not None]
    found = [_felt(tried), *others]
    return min(found, key=lambda one: _WORST_FIRST.index(one.outcome))


def _besides(tried: Tried, one: Shown) -> Judged:
    """Judge a value by what else is shown.

    What came once can be had. What never came and nothing keeps away may be late: the scheduler
    leaves tasks together on one CPU of a set for a second and more, though both may be used.
    """
    by_it = replace(
        tried, metric=one.metric, felt=one.felt, excuse=one.excuse, above=one.above, most=one.most
    )
    if one.most >= (one.felt.expected or 0.0):
        return Judged(by_it, Outcome.EFFECTIVE, "held", described(by_it), shown=True)
    judged = _felt(by_it)
    late = judged.outcome is Outcome.WRONG and one.above is None
    return _not_come(by_it) if late else judged


def _felt(tried: Tried) -> Judged:
    """Judge a value that the kernel holds by what the workload shows."""
    one = tried.felt
    ended = any(phase.ending is not None for phase in tried.accepted)
    if one is not None and not one.within and _kept_below(tried, one):
        reason = f"{described(tried)}: {tried.above}"
        return Judged(tried, Outcome.WRONG, "wrong", reason, shown=True)
    if one is not None and _once_too_much(tried, one):
        once = f"{described(tried)}, and once {quantity(tried.most or 0.0, one.unit)}"
        return Judged(tried, Outcome.WRONG, "wrong", once, shown=True)
    if one is None or one.within is None:
        if one is None and tried.awaited and not ended:
            reason = f"at {tried.key.label} there is no reading of the workload"
            return Judged(tried, Outcome.INCONCLUSIVE, "without a reading", reason)
        if one is not None and _hidden(tried, one):
            return Judged(tried, Outcome.EFFECTIVE, "not judged by a workload", _too_wide(tried))
        if one is not None and one.expected is not None and not ended:
            return _not_come(tried)
        return Judged(tried, Outcome.EFFECTIVE, "not judged by a workload", "the file holds it")
    if (one.within or one.median < (one.expected or 0.0)) and _waited_in_vain(tried):
        return _not_come(tried)
    if one.within:
        return Judged(tried, Outcome.EFFECTIVE, "held", described(tried), shown=True)
    return _outside(tried, one)


def _once_too_much(tried: Tried, one: Estimate) -> bool:
    """Say whether more than may be came once, of what is right or wrong and never nearly right."""
    metric = METRICS.get(tried.metric or "")
    if metric is None or metric.graded or tried.most is None or one.expected is None:
        return False
    return one.median <= one.expected < tried.most


def _kept_below(tried: Tried, one: Estimate) -> bool:
    """Say whether a value is short where a group above allows less, which explains it alone."""
    return tried.above is not None and one.expected is not None and one.median < one.expected


def _hidden(tried: Tried, one: Estimate) -> bool:
    """Say whether the band around a value is too wide to show anything."""
    metric = METRICS.get(tried.metric or "")
    if metric is None or one.expected is None or one.tolerance is None or one.within is False:
        return False
    return metric.hides(one.expected, one.tolerance.below)


def _too_wide(tried: Tried) -> str:
    """Say why a value that the file holds is not judged by its workload."""
    one = tried.felt
    assert one is not None
    width = 0.0 if one.tolerance_pct is None else one.tolerance_pct.below
    return (
        f"{described(tried)}, where a timer tick per worker makes the band "
        f"{width:.0f} % wide: it is judged by its file alone, which holds it"
    )


def _waited(tried: Tried) -> list[Awaited]:
    """Return what the phases of a value were held on for, where it is judged by that."""
    found = [phase.awaited for phase in tried.accepted]
    return [one for one in found if one is not None and one.metric == tried.metric]


def _waited_in_vain(tried: Tried) -> bool:
    """Say whether too many phases ended before what is judged had come for a median to show it."""
    waited = _waited(tried)
    return bool(waited) and 2 * sum(one.state == "coming" for one in waited) >= len(waited)


def _not_come(tried: Tried) -> Judged:
    """Leave a value open that may only be late."""
    reason = f"{described(tried)}: it had not come when the phase ended"
    waited = _waited(tried)
    if waited:
        longest = format_duration(max(one.held_on_ns for one in waited))
        stood = any(one.state == "standing" for one in waited)
        reason += f", which was held on for it by {longest}{' until it stood still' * stood}"
    return Judged(tried, Outcome.INCONCLUSIVE, "not reached", reason)


def _outside(tried: Tried, one: Estimate) -> Judged:
    """Judge a value outside its band by what remains after the largest excuse."""
    expected, allowed = one.expected or 0.0, one.allowed
    excuse = tried.excuse
    remains = abs(one.median - expected) if excuse is None else excuse.remains(one)
    what = described(tried)
    if excuse is not None and excuse.explains(one):
        reason = f"{what}, but {excuse.reason}"
        return Judged(tried, Outcome.INCONCLUSIVE, "disturbed", reason, shown=True)
    if excuse is not None:
        what = f"{what}, more than can be explained though {excuse.reason}"
    metric = METRICS.get(tried.metric or "")
    graded = metric is None or metric.graded
    if graded and remains <= max(IMPRECISE_PCT / 100 * abs(expected), 2 * allowed):
        return Judged(tried, Outcome.IMPRECISE, "imprecise", what, shown=True)
    return Judged(tried, Outcome.WRONG, "wrong", what, shown=True)
