"""Search the smallest limit under which a program of one's own still meets its target."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cgbench.commands.program_life import MEMORY, PIDS, Live, Question
from cgbench.errors import OptionError, TrialError
from cgbench.host import description
from cgbench.judging import tune as judging
from cgbench.judging.knee import LEVEL, Interval, Posterior
from cgbench.measuring.site import Progress, silent
from cgbench.records import tune as records
from cgbench.records.host import Host
from cgbench.records.results import new_run_name
from cgbench.records.tune import Knee, Observation, Tuned, Verdict
from cgbench.spec.program import Program
from cgbench.spec.target import Target
from cgbench.spec.tunable import Tunable
from cgbench.units import NS_PER_S, format_duration, format_size
from cgbench.wording import count

BUDGET_S = 600.0
"""How long a search may take."""

NARROW = 1.05
"""How many times its lower end the knee's upper end may be where a search is done."""

SURE = 5
"""How many phases in a row, made after it was suggested, a suggested limit must meet."""

HOLD_NS = 3 * NS_PER_S
"""How long a limit is held at least while it is judged."""

_CHANCES = (0.08, 0.29, 0.5, 0.71, 0.92)
_REQUESTS = 200
_MOST_SURVEYED = 9
# A round without one phase that counts is bad luck; so many in a row are the host.
_FRUITLESS = 3
# Less of an image in memory is what a guard of another image shares with it.
_WARM_BYTES = 2**20


def question(
    named: tuple[str, Program],
    target: Target,
    limit: Tunable,
    low: float | None,
    high: float | None,
    hold_ns: int | None = None,
    budget_s: float = BUDGET_S,
) -> Question:
    """Return what is searched for, with what this host offers where nothing was said.

    Raises OptionError where no value lies between the two, or the program has no load.
    """
    name, program = named
    if program.load is None:
        raise OptionError(
            f"{name}: no load is put on it, so that no target can be met",
            'Give it a table [load]. For example: url = "http://127.0.0.1:8080/", rate = 100',
        )
    most = {"cpus": float(description.cpus()), "memory": float(MEMORY), "pids": float(PIDS)}
    high = most[limit.name] if high is None else high
    if limit.name == "cpus" and high > most["cpus"]:
        raise OptionError(
            f"--to {high:g}: this host has {count(int(most['cpus']), 'CPU')}", "Write less."
        )
    low = max(limit.least, high / 64) if low is None else low
    if low >= high:
        raise OptionError(
            f"--from {limit.words(low)} is not below --to {limit.words(high)}", "Exchange them."
        )
    pace_ns = program.load.pace_ns
    hold = max(HOLD_NS, _REQUESTS * pace_ns + NS_PER_S) if hold_ns is None else hold_ns
    return Question(name, program, target, limit, low, high, hold, budget_s)


@dataclass
class _Search:
    """A search while it lasts: what was seen, and what follows from it so far."""

    asked: Question
    live: Live
    known: Posterior
    began_s: float
    seen: list[Observation] = field(default_factory=list)
    longest_s: float = 0.0
    fruitless: int = 0
    host: Host | None = None
    warm: list[int | None] = field(default_factory=list)
    suggested: float | None = None
    met: int = 0
    of: int = 0
    failed: str | None = None

    @property
    def left_s(self) -> float:
        """What is left of the budget."""
        return self.asked.budget_s - (time.monotonic() - self.began_s)

    def measure(self, limits: Sequence[float]) -> None:
        """Try limits in this order in one life of the program, and learn from what counts."""
        begin = time.monotonic()
        lived = self.live(limits)
        self.longest_s = max(self.longest_s, time.monotonic() - begin)
        self.host = lived.host or self.host
        self.failed = lived.failed or self.failed
        self.warm += [lived.warm] if lived.seen else []
        for one in lived.seen:
            if one.met is not None:
                self.known.learn(one.limit, met=one.met)
        self.seen += lived.seen
        self.fruitless = 0 if judging.counted(lived.seen) else self.fruitless + 1


def tune(asked: Question, live: Live, seed: int, progress: Progress = silent) -> Tuned:
    """Search until the knee is known closely and a suggested limit has proved itself, or time ends.

    `seed` is that of the orders in which limits are tried. Raises TrialError where the program
    cannot be measured at all.
    """
    began = datetime.now(UTC).isoformat(timespec="seconds")
    search = _Search(asked, live, Posterior(asked.low, asked.high), time.monotonic())
    progress(f"survey from {_words(asked, asked.high)} down to {_words(asked, asked.low)}")
    search.measure(_survey(asked))
    if not search.seen and search.failed is not None:
        raise TrialError(search.failed, "Look at its log, or start its image with docker run.")
    orders = random.Random(seed)
    while search.left_s > search.longest_s and search.fruitless < _FRUITLESS:
        if _verdict(search) is not None:
            break
        progress(_progress(search))
        search.measure(_next(search, orders))
    return _concluded(search, began, seed)


def _survey(asked: Question) -> list[float]:
    number = math.ceil(math.log2(asked.high / asked.low)) + 1
    number = max(3, min(_MOST_SURVEYED, number))
    ratio = (asked.low / asked.high) ** (1 / (number - 1))
    return _distinct(asked, [asked.high * ratio**at for at in range(number)])


def _next(search: _Search, orders: random.Random) -> list[float]:
    """Return which limits to try next: around the knee, or what is to be confirmed."""
    asked = search.asked
    below, above = search.known.outside()
    if above > LEVEL:
        return [asked.high] * SURE
    if below > LEVEL:
        search.suggested = asked.low
        return [asked.low] * SURE
    *wanted, enough = search.known.limits((*_CHANCES, LEVEL))
    if _is_narrow(search.known) and enough is not None:
        search.suggested = min(asked.high, _raised(asked, enough))
        return [search.suggested] * SURE
    chosen = [asked.limit.fitted(asked.high if one is None else one) for one in wanted]
    orders.shuffle(chosen)
    return chosen


def _verdict(search: _Search) -> Verdict | None:
    """Return what is certain by now, None where more is to be measured.

    A suggested limit has proved itself when it met its target in all of the SURE phases that were
    made after it was suggested, and the knee is still known closely.
    """
    asked, known = search.asked, search.known
    below, above = known.outside()
    last = judging.counted(search.seen)[-SURE:]
    if above > LEVEL and _all_at(last, asked.high, met=False):
        return Verdict.NONE
    if search.suggested is None:
        return None
    proved = _all_at(last, search.suggested, met=True)
    search.met = sum(bool(one.met) for one in last) if proved else 0
    search.of = len(last) if proved else 0
    if not proved:
        return None
    if below > LEVEL and search.suggested == asked.low:
        return Verdict.ALL
    return Verdict.FOUND if _is_narrow(known) else None


def _is_narrow(known: Posterior) -> bool:
    """Say whether the knee is known as closely as is wanted, or as a blurred one can be."""
    return known.knee().ratio <= max(NARROW, known.blur())


def _all_at(last: Sequence[Observation], limit: float, *, met: bool) -> bool:
    return len(last) == SURE and all(one.limit == limit and one.met is met for one in last)


def _concluded(search: _Search, began: str, seed: int) -> Tuned:
    asked = search.asked
    verdict = _verdict(search) or Verdict.UNDECIDED
    counted = judging.counted(search.seen)
    knee = search.known.knee() if counted else None
    shown = verdict in (Verdict.FOUND, Verdict.UNDECIDED)
    suggested = search.suggested if verdict in (Verdict.FOUND, Verdict.ALL) else None
    margin = None
    if knee is not None and suggested is not None and verdict is Verdict.FOUND:
        margin = 100 * (suggested / knee.median - 1)
    return Tuned(
        name=new_run_name(),
        started=began,
        seconds=round(time.monotonic() - search.began_s, 1),
        program=asked.name,
        declared=asked.program,
        limit=asked.limit.name,
        unit=asked.limit.unit,
        target=asked.target,
        low=asked.low,
        high=asked.high,
        budget_s=asked.budget_s,
        seed=seed,
        host=search.host,
        verdict=verdict,
        reason=_reason(search, verdict),
        knee=_knee(knee) if knee is not None and shown else None,
        suggested=suggested,
        margin_pct=margin,
        confirmed=search.met,
        of=search.of,
        observations=tuple(search.seen),
        notes=tuple(_notes(search)),
    )


def _knee(found: Interval) -> Knee:
    return Knee(median=found.median, low=found.low, high=found.high, level=LEVEL)


def _reason(search: _Search, verdict: Verdict) -> str:
    asked, target = search.asked, search.asked.target.words
    if verdict is Verdict.FOUND:
        assert search.suggested is not None
        return (
            f"{_words(asked, search.suggested)} met {target} in {search.met} of {search.of} "
            "phases that were made after it was suggested"
        )
    if verdict is Verdict.ALL:
        return (
            f"every limit down to {_words(asked, asked.low)} meets {target}: search lower (--from)"
        )
    if verdict is Verdict.NONE:
        return (
            f"not even {_words(asked, asked.high)} meets {target}: a higher limit (--to), less "
            "load, or another target"
        )
    if search.fruitless >= _FRUITLESS:
        why = search.seen[-1].reason if search.seen else search.failed
        return f"{_FRUITLESS} lives of the program in a row gave nothing that counts: {why}"
    knee = search.known.knee()
    return (
        f"after {format_duration(int(asked.budget_s * NS_PER_S))} the knee lies between "
        f"{_words(asked, knee.low)} and {_words(asked, knee.high)}, or is not confirmed yet: "
        "give it more time (--budget)"
    )


def _notes(search: _Search) -> Iterator[str]:
    left_out = [one for one in search.seen if one.met is None]
    if left_out:
        yield f"{count(len(left_out), 'phase')} of {len(search.seen)} do not count: " + (
            left_out[0].reason or "nothing was measured"
        )
    if search.failed is not None:
        yield f"a life of the program failed: {search.failed}"
    if search.asked.limit.name == "memory":
        yield from _warmth(search.warm)
    for phrase in search.asked.program.loosened:
        yield f"{search.asked.name} {phrase}"


def _warmth(found: Sequence[int | None]) -> Iterator[str]:
    """Yield a note where the program was not charged for all that it read of its image."""
    if None in found:
        yield (
            "it is not known how much of its image's files was in memory before it started: it is "
            "not charged for that, and may need as much more elsewhere"
        )
    most = max((one for one in found if one is not None), default=0)
    if most >= _WARM_BYTES:
        yield (
            f"{format_size(most)} of its image's files were in memory before it started, and in "
            "use: where they were charged to others, it needs as much more by itself"
        )


def _progress(search: _Search) -> str:
    asked, knee = search.asked, search.known.knee()
    return (
        f"{count(len(judging.counted(search.seen)), 'phase')}: the knee lies between "
        f"{_words(asked, knee.low)} and {_words(asked, knee.high)}"
    )


def _words(asked: Question, limit: float) -> str:
    return asked.limit.words(limit)


def _raised(asked: Question, limit: float) -> float:
    """Return the next value worth trying that is not below `limit`."""
    fitted = asked.limit.fitted(limit)
    return fitted if fitted >= limit else asked.limit.fitted(limit * 1.01)


def _distinct(asked: Question, limits: Sequence[float]) -> list[float]:
    return list(dict.fromkeys(asked.limit.fitted(one) for one in limits))


def write_page(tuned: Tuned, output: Path) -> Path:
    """Write the page of a search and return its path. Raises StoreError."""
    from cgbench.reporting.render import write_tune

    return write_tune(tuned, output)


def keep(tuned: Tuned, results: Path) -> Path:
    """Write the document of a search below the results and return its folder."""
    folder = results / records.FOLDER / tuned.name
    records.write(folder, tuned)
    return folder
