"""Let a daemon lie about updates in every way, crossed with every option, and see what is said.

A proxy stands before Docker's socket and spoils each update; real containers are measured and
judged as `cgbench verify` does. What must be said is stated by hand, from what was done. Exit
status 1 if a verdict is not right. It needs root, the image and an idle Docker.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cgbench.host import lock
from cgbench.records.verdict import Outcome
from tests.bench import disturbance, host_list, lie_list, lie_times
from tests.bench.figure import Figure, at_most, no_less
from tests.bench.short_options import shorts
from tests.bench.spoiled import TRIES, Case, Found, Kind, folder

# Of the 10 % that are made; the disturber itself may be late.
_LEAST_PCT = 8.0
KINDS = (*lie_list.KINDS, *host_list.KINDS)


def cases(kinds: Sequence[Kind], options: Sequence[str]) -> Iterator[Case | str]:
    """Yield every case, or in its place why a kind cannot meet an option."""
    for kind in kinds:
        for name, short in shorts().items():
            if options and name not in options:
                continue
            unmet = kind.unmet(short)
            if unmet is not None:
                yield f"{kind.name} × {name}: {unmet}"
            else:
                yield Case(kind, short)


def diagonal(chosen: Sequence[Case | str], number: int) -> list[Case]:
    """Return one case of each kind, each time with the next option that it can meet."""
    by_kind: dict[str, list[Case]] = {}
    for case in chosen:
        if isinstance(case, Case):
            by_kind.setdefault(case.kind.name, []).append(case)
    return [met[(at + number) % len(met)] for at, met in enumerate(by_kind.values())]


def figures(found: Sequence[tuple[Case, Found]]) -> list[Figure]:
    """Return how many verdicts were right."""
    wrong = [(case, one) for case, one in found if case.wrong(one) is not None]
    said = [one.verdict.verdict for _case, one in wrong]
    return [
        at_most(f"spoiled, {len(found)} cases: wrong verdicts", 0, len(wrong), digits=0),
        at_most("of them false effective", 0, said.count(Outcome.EFFECTIVE), digits=0),
        at_most("of them false ignored", 0, said.count(Outcome.IGNORED), digits=0),
    ]


def disturbed(chosen: Sequence[Case | str], kind: str, keep: Path | None) -> list[Figure]:
    """Measure cases while the host is disturbed, each once; none may be left open."""
    with disturbance.disturbed(kind) as made:
        found = measured(chosen, keep, tries=1)
    said = [one.verdict.verdict for _case, one in found]
    name = f"{kind}, {len(found)} cases: inconclusive"
    return [
        at_most(name, 0, said.count(Outcome.INCONCLUSIVE), digits=0),
        *figures(found),
        # What was hardly disturbed shows nothing; what is kept was measured then.
        *(
            []
            if all(one.kept for _case, one in found)
            else [no_less(f"{kind}: disturbance made", _LEAST_PCT, made.pct, " %", digits=1)]
        ),
    ]


def measured(
    chosen: Sequence[Case | str], keep: Path | None = None, tries: int = TRIES
) -> list[tuple[Case, Found]]:
    """Measure cases one after the other, and print each as it ends.

    Runs stay in `keep`, and one that is there already is judged anew and not measured again.
    """
    found = []
    with contextlib.nullcontext(keep) if keep else folder() as results:
        for case in chosen:
            if isinstance(case, str):
                print(f"      -- {case}", flush=True)
                continue
            begin = time.monotonic()
            one = case.measured(Path(results), tries)
            found.append((case, one))
            wrong = case.wrong(one)
            again = f", {one.again} times again" if one.again else ""
            took = "kept" if one.kept else f"{time.monotonic() - begin:.0f} s{again}"
            print(
                f"{'ok ' if wrong is None else 'BAD'} {case.name:<34} {case.expected.words:<24} "
                f"{one.verdict.verdict:<12} {took}\n        {one.verdict.reason}",
                flush=True,
            )
            if wrong is not None:
                print(f"        BAD: {wrong}", flush=True)
    return found


def main() -> int:
    """Measure the cases asked for and print their figures."""
    parser = argparse.ArgumentParser(prog="tests.bench.lies", description=__doc__)
    parser.add_argument("--kind", action="append", choices=[one.name for one in KINDS])
    parser.add_argument("--option", action="append", choices=list(shorts()), default=[])
    parser.add_argument("--number", type=int, default=None, help="how many cases at most")
    parser.add_argument("--diagonal", type=int, help="one option for each kind, the next ones by N")
    parser.add_argument("--skip", type=int, default=0, help="how many cases to leave out first")
    parser.add_argument("--list", action="store_true", help="print the cases and measure none")
    parser.add_argument("--times", action="store_true", help="time known delays, and no cases")
    parser.add_argument(
        "--disturbed",
        choices=list(disturbance.KINDS),
        help="disturb the host by 10 %%, and measure what that must not leave open",
    )
    parser.add_argument(
        "--others", action="store_true", help="only what --disturbed leaves out: such may stay open"
    )
    parser.add_argument("--keep", type=Path, help="where runs stay, and are judged anew if there")
    given = parser.parse_args()
    kinds = [one for one in KINDS if given.kind is None or one.name in given.kind]
    chosen = list(cases(kinds, given.option))
    if given.disturbed is not None:
        chosen = [case for case in chosen if isinstance(case, Case) and case.firm]
    if given.others:
        chosen = [case for case in chosen if isinstance(case, Case) and not case.firm]
    if given.diagonal is not None:
        chosen = [*diagonal(chosen, given.diagonal)]
    end = None if given.number is None else given.skip + given.number
    chosen = chosen[given.skip : end]
    if given.list:
        for case in chosen:
            print(f"-- {case}" if isinstance(case, str) else f"{case.name}: {case.expected.words}")
        return 0
    if given.disturbed is not None:
        with lock.exclusively():
            made = disturbed(chosen, given.disturbed, given.keep)
    else:
        made = figured([] if given.times else chosen, times=given.times, keep=given.keep)
    for figure in made:
        print(figure.line())
    return int(any(one.met is False for one in made))


def figured(chosen: Sequence[Case | str], *, times: bool, keep: Path | None = None) -> list[Figure]:
    """Measure cases, and known delays if asked for; return what both come to."""
    with lock.exclusively():
        found = measured(chosen, keep)
        made = figures(found) if found else []
        if times:
            with folder() as results:
                made += lie_times.figures(Path(results))
    return made


def everything() -> list[Figure]:
    """Return the figures of all cases and delays."""
    return figured(list(cases(KINDS, ())), times=True)


if __name__ == "__main__":
    sys.exit(main())
