"""What a search for the smallest sufficient limit came to, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from cgbench.judging.tune import SHOWN
from cgbench.records.tune import Observation, Tuned, Verdict
from cgbench.spec.metrics import METRICS
from cgbench.spec.tunable import TUNABLE
from cgbench.wording import count, quantity

_REFAULTS = "refaults_per_s"
# Fewer pages a second are chance: what the program needed once.
_MANY = 10.0


def in_words(found: Tuned, limit: float) -> str:
    """Return a limit of a search as a reader thinks of it."""
    return TUNABLE[found.limit].words(limit)


def headline(found: Tuned) -> str:
    """Return in one sentence what a search came to."""
    if found.verdict is Verdict.FOUND and found.suggested is not None:
        return f"{found.program} meets {found.target.words} with {in_words(found, found.suggested)}"
    if found.verdict is Verdict.ALL:
        return f"{found.program} meets {found.target.words} with every limit that was tried"
    if found.verdict is Verdict.NONE:
        return f"{found.program} meets {found.target.words} with no limit that was tried"
    return f"How much {found.program} needs for {found.target.words} is not decided"


def flags(found: Tuned) -> str | None:
    """Return the suggested limit as typed on Docker's command line, None if there is none."""
    if found.suggested is None:
        return None
    settings = TUNABLE[found.limit].settings(found.suggested)
    return " ".join(f"--{name} {value}" for name, value in settings.items())


def knee(found: Tuned) -> str | None:
    """Return in words where the knee lies, None where that is not known."""
    if found.knee is None:
        return None
    between = (
        f"between {in_words(found, found.knee.low)} and {in_words(found, found.knee.high)} with "
        f"{100 * found.knee.level:g} % certainty"
    )
    if found.verdict is not Verdict.FOUND:
        return f"the knee lies {between}"
    return f"the knee is at {in_words(found, found.knee.median)}: {between}"


def shortage(found: Tuned) -> str | None:
    """Return in words what happens below a limit of memory that suffices, None of other limits.

    Memory is short long before a process is killed: pages are taken away and read again.
    """
    if found.limit != "memory":
        return None
    again = [one for one in found.observations if _is_short(one)]
    ended = [one for one in found.observations if one.met is False and one.reason is not None]
    parts = []
    if again:
        most = max(again, key=lambda one: one.metrics[_REFAULTS])
        parts.append(
            f"pages were taken away and read again with {in_words(found, _onset(found))} and less, "
            f"{most.metrics[_REFAULTS]:,.0f} a second with {in_words(found, most.limit)}"
        )
    elif any(_REFAULTS in one.metrics for one in found.observations):
        parts.append("no page that was taken away was read again")
    if ended:
        parts.append(
            f"with {_highest(found, ended)} a process was killed, or the limit was refused"
        )
    elif parts:
        parts.append("no limit that was tried killed a process")
    return "; ".join(parts) or None


def _is_short(one: Observation) -> bool:
    return one.metrics.get(_REFAULTS, 0.0) >= _MANY


def _onset(found: Tuned) -> float:
    """Return the highest limit under which pages are read again, also in the next phase below.

    One alone may be what an earlier limit had taken away.
    """
    by_limit = sorted(found.observations, key=lambda one: one.limit, reverse=True)
    both = (one.limit for one, next_ in pairwise(by_limit) if _is_short(one) and _is_short(next_))
    return next(both, max(one.limit for one in by_limit if _is_short(one)))


def _highest(found: Tuned, many: Sequence[Observation]) -> str:
    return in_words(found, max(one.limit for one in many))


def lines(found: Tuned) -> Iterator[str]:
    """Yield what the terminal shows."""
    yield headline(found)
    yield f"  {found.reason}"
    if (where := knee(found)) is not None:
        yield f"  {where}"
    if found.margin_pct is not None:
        yield f"  suggested: {flags(found)} ({found.margin_pct:.0f} % above the knee)"
    elif found.suggested is not None:
        yield f"  suggested: {flags(found)}"
    if (short := shortage(found)) is not None:
        yield f"  {short}"
    met = sum(one.met is True for one in found.observations)
    missed = sum(one.met is False for one in found.observations)
    lives = len({one.run for one in found.observations})
    yield (
        f"  {count(met + missed, 'phase')} in {count(lives, 'life', 'lives')} of the program: "
        f"{met} met it, {missed} missed it"
    )
    for note in found.notes:
        yield f"  note: {note}"


WORDS: Mapping[bool | None, str] = {True: "met", False: "missed", None: "does not count"}
"""What a phase said of the target."""

TONES: Mapping[bool | None, str] = {True: "good", False: "bad", None: "open"}
"""How it is coloured."""


def columns(found: Tuned) -> tuple[str, ...]:
    """Return the metrics that at least one phase has, beside the target's."""
    return tuple(
        name
        for name in SHOWN
        if name != found.target.metric and any(name in one.metrics for one in found.observations)
    )


def shown(one: Observation, name: str) -> str:
    """Return one figure of a phase with its unit, nothing where it was not measured."""
    value = one.metrics.get(name)
    return "" if value is None else quantity(value, METRICS[name].unit)
