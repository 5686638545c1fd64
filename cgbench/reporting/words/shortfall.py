"""Who had the CPU time that a container should have had, in a sentence with numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cgbench.judging.estimates import Point
from cgbench.judging.run import Run
from cgbench.judging.shortfall import LIMIT, Shortfall, Taker, shortfalls
from cgbench.wording import count, significant

# What is a smaller part of what is lacking is added up.
_LEAST_PART = 0.02


def sentences(run: Run, many: Sequence[Point], most: int | None = None) -> Iterator[str]:
    """Yield a sentence for each point of a run that lacked CPU time; of more than `most` for those
    that lacked most, with how many others there are.
    """
    by_key = {point.key: point for point in many}
    several, ways = (len({key[at] for key in by_key}) > 1 for at in (0, 2))
    found = sorted(shortfalls(run), key=lambda one: -one.lacking)
    for one in found[:most]:
        yield sentence(one, by_key[one.key], several=several, ways=ways)
    if most is not None and len(found) > most:
        yield (
            f"Less was lacking at {count(len(found) - most, 'other value')}: "
            f"`cgbench show {run.name}` has them."
        )


def sentence(one: Shortfall, point: Point, *, several: bool, ways: bool = False) -> str:
    """Return what became of what is lacking at a point; the parts add up to it.

    `several` says that the run has more than one container, `ways` that values were set in several.
    """
    who = f"{f' by {one.key.via}' * ways}{f' in {one.key.role}' * several}"
    parts = [f"{_cpus(cpus)} {words}" for words, cpus in _told(one.takers, one.lacking)]
    heat = f" Heat slowed a core {count(one.slowed, 'time')}." if one.slowed else ""
    mean = f" in the mean of {one.trials} trials" * (one.trials > 1)
    return (
        f"At {point.place}{who} {_cpus(one.lacking)} of {_cpus(one.expected)} CPUs were lacking"
        f"{mean}: "
        f"{', '.join(parts)}.{heat}"
    )


def _told(takers: Sequence[Taker], lacking: float) -> list[tuple[str, float]]:
    """Return the parts worth telling with their words, and the sum of the others if any."""
    least = _LEAST_PART * lacking
    told = [(_words(one), one.cpus) for one in takers if one.cpus >= least]
    rest = lacking - sum(cpus for _words, cpus in told)
    if rest >= least:
        told.append(("elsewhere", rest))
    # What it had too much in some phases, in the mean of all of them.
    return [*told, ("less that other phases had too much", -rest)] if rest <= -least else told


def _words(one: Taker) -> str:
    if one.what == LIMIT:
        return "that nobody else used: the limit itself gave less"
    if one.process is not None:
        return f"went to `{one.process}` (process {one.pid})"
    return f"went to {one.what}"


def _cpus(value: float) -> str:
    return significant(value, 2)
