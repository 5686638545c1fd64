"""Find the smallest departure that is found in 95 % of real runs: of quotas, shares, memory, tasks.

The runs are those of an honest daemon, measured with what `cgbench verify` runs. No kernel departs
from its own file on request, so what the workload felt is moved afterwards: by so much, in either
direction, in one run after the other, each of which is judged. So the noise is real, and the
departure exact. A value counts as found where it is said to be imprecise or wrong; inconclusive is
not found. As in `verify`, what a disturbed host leaves open is measured again, twice at most: the
runs after it stand for that. How many are open at first is shown.

All runs are kept in a folder and not measured again: --number 10, then --number 20 measure in
parts.
Exit status 1 if a bar was missed. It needs root and the image.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cgbench.commands import session, verify
from cgbench.commands.session import Session
from cgbench.host import preconditions
from cgbench.judging import verdict
from cgbench.judging.intervals import error_pct
from cgbench.judging.run import Run, load
from cgbench.measuring import run as runner
from cgbench.measuring.progress import Silent
from cgbench.records.results import runs
from cgbench.records.run import PointKey
from cgbench.records.verdict import Outcome
from cgbench.spec import experiment_file
from cgbench.spec.experiment import Experiment
from tests.bench.figure import Figure, at_most

NUMBER, POWER = 20, 0.95
_FOUND = (Outcome.IMPRECISE, Outcome.WRONG)
_LESS, _MORE = -1, 1


@dataclass(frozen=True)
class Size:
    """How large departures may be: the `most` steps that are tried, each so many of a unit."""

    unit: str
    step: float
    most: int
    moved: Callable[[float, float], float]

    def tried(self) -> list[float]:
        """Return every departure, the smallest first."""
        return [self.step * at for at in range(1, self.most + 1)]


PERCENT = Size(" %", 0.25, 100, lambda felt, by: felt * (1 + by / 100))
_TASKS = Size("", 1, 8, lambda felt, by: felt + by)


def _pages(run: Run) -> Size:
    """Return pages per CPU: one page is a part of one."""
    host = run.record.host
    return Size("", 1 / host.cpus, 256 * host.cpus,
                lambda felt, by: felt + by * host.cpus * host.page_bytes)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A figure: the value of an option whose metric is moved, and its bar.

    `unseen` says that the bar is the largest departure that is not found yet. A workload that has
    not come to a ceiling shows nothing: then only `directions` in which something is shown count.
    """

    name: str
    option: str
    requested: str
    metric: str
    bar: float
    size: Callable[[Run], Size] = lambda _run: PERCENT
    directions: tuple[int, ...] = (_LESS, _MORE)
    unseen: bool = False


PARTS = (
    Part("quota at 10 %", "cpu-quota", "10000", "cpus_used", 8),
    Part("quota at 50 %", "cpu-quota", "50000", "cpus_used", 3),
    Part("shares 1:16", "cpu-shares", "64", "cpu_share_pct", 8),
    Part("memory, pages per CPU", "memory", "64m", "memory_max_bytes", 64, _pages, (_MORE,),
         unseen=True),
    Part("tasks", "pids-limit", "24", "tasks_max", 1, lambda _run: _TASKS),
)  # fmt: skip


def experiments() -> Mapping[str, Experiment]:
    """Return what is measured for each option: of what verify runs, the steps to these values.

    It tries 50 % of a CPU as `--cpus 0.5`, with one worker and for as long.
    """
    quota = _verified("cpu-quota-sweep")
    many = next(step for step in quota.steps if step.set["cpu-quota"] == 10000)
    one = next(step for step in quota.steps if step.note == "one worker")
    shares, memory = _verified("cpu-shares-contention"), _verified("memory-limit-sweep")
    return {
        "cpu-quota": _only(
            quota, many, one.model_copy(update={"set": {"cpu-quota": 50000}})
        ),
        "cpu-shares": _only(shares, *(
            step for step in shares.steps
            if step.set.get("cpu-shares") == 64 and step.note == "against one"
        )),
        "memory": _only(memory, *(step for step in memory.steps if step.note == "page cache")),
        "pids-limit": _verified("pids-limit-sweep"),
    }  # fmt: skip


def _verified(name: str) -> Experiment:
    one = experiment_file.load(name).for_verify()
    return one.model_copy(update={"name": f"power-{one.option}"})


def _only(one: Experiment, *steps: object) -> Experiment:
    assert steps, f"{one.name}: verify has other values now"
    return one.model_copy(update={"steps": steps})


def kept(folder: Path, wanted: Experiment) -> list[Run]:
    """Return the whole runs of an experiment that are kept, as it is today."""
    found = []
    for directory in runs(folder):
        if directory.path.parent.name != wanted.name:
            continue
        one = load(directory)
        if one.record.experiment != wanted:
            raise SystemExit(f"{directory.path} is of another form: choose another folder")
        if one.record.status == "finished" and len(one.finished) == one.record.trials_planned:
            found.append(one)
    return found


def measured(here: Session, wanted: Experiment, number: int) -> None:
    """Measure an experiment until so many runs are kept; none that failed counts."""
    have = len(kept(here.results, wanted))
    met = preconditions.preconditions(wanted.requires)
    for at in range(have + 1, number + 1):
        request = runner.Request(wanted, here.image, here.results, here.seed)
        directory = runner.begin(request, here.engine, met)
        runner.execute(directory, directory.run(), here.engine, Silent())
        load(directory).keep_rows()
        print(f"{wanted.name}: run {at} of {number}", flush=True)


def said(part: Part, run: Run, by: float = 0.0) -> Outcome:
    """Return what is said of a part's value where its workload felt so much more, or less."""
    size, key = part.size(run), point(part, run)
    made, rows = Run(run.directory, run.record, run.trials), []
    for row in run.rows:
        if row.metric == part.metric and row.key == key:
            value = size.moved(row.value, by)
            error = None if row.expected is None else error_pct(value, row.expected)
            rows.append(row._replace(value=value, error_pct=error))
        else:
            rows.append(row)
    # Kept where cached_property keeps it.
    vars(made)["every_row"] = tuple(rows)
    (one,) = (
        value.verdict
        for value in verdict.judge(made, part.option).values
        if (value.role, value.requested, value.note) == (key.role, key.requested, key.note)
    )
    return one


def point(part: Part, run: Run) -> PointKey:
    """Return the point that is moved: the value on the container that was updated to it."""
    (key,) = {
        phase.point()
        for trial in run.finished
        for phase in trial.phases
        if (phase.option, phase.change.requested) == (part.option, part.requested)
        and phase.change.via == "update" and not phase.prepares
    }  # fmt: skip
    return key


def decided(each: Sequence[Outcome]) -> list[Outcome]:
    """Return what `verify` says that begins with each run: the first that is not left open.

    It measures again, twice at most; after the last run comes the first.
    """
    found = []
    for at in range(len(each)):
        several = [each[(at + more) % len(each)] for more in range(verify.AGAIN + 1)]
        open_yet = Outcome.INCONCLUSIVE
        found.append(next((one for one in several if one is not open_yet), open_yet))
    return found


def smallest(part: Part, found: Sequence[Run], direction: int) -> float:
    """Return from which departure on 95 % of the runs or more are found; infinite if from none."""
    begin = math.inf
    for by in reversed(part.size(found[0]).tried()):
        each = decided([said(part, run, direction * by) for run in found])
        if sum(one in _FOUND for one in each) / len(each) < POWER:
            break
        begin = by
    return begin


def figures(part: Part, found: Sequence[Run]) -> Iterator[Figure]:
    """Yield a part's figure, and what is said of the same runs as they were measured."""
    size = part.size(found[0])
    least = {direction: smallest(part, found, direction) for direction in part.directions}
    worst = max(least.values())
    name = f"{part.name}, {len(found)} runs: found from"
    if part.unseen:
        worst, name = worst - size.step, f"{part.name}, {len(found)} runs: unseen to"
    yield at_most(name, part.bar, worst, size.unit, digits=2)
    calm = [said(part, run) for run in found]
    open_first = sum(one is Outcome.INCONCLUSIVE for one in calm)
    other = sum(one is not Outcome.EFFECTIVE for one in decided(calm))
    yield Figure("    as measured, left open at first", "-", f"{open_first}", None)
    yield Figure("    as measured, not effective", "-", f"{other}", None)


def main() -> int:
    """Measure what is lacking, and print the figures of all runs that are kept."""
    parser = argparse.ArgumentParser(prog="tests.bench.power", description=__doc__)
    by_option = experiments()
    parser.add_argument("--number", type=int, default=NUMBER, help="runs of each; 0: count")
    parser.add_argument("--options", nargs="+", choices=list(by_option), default=list(by_option))
    parser.add_argument("--keep", type=Path, required=True, help="the folder of results")
    given = parser.parse_args()
    if given.number:
        with session.opened(given.keep, seed=1) as here:
            for option in given.options:
                measured(here, by_option[option], given.number)
    made: list[Figure] = []
    for part in (one for one in PARTS if one.option in given.options):
        found = kept(given.keep, by_option[part.option])
        if not found:
            raise SystemExit(f"no run of --{part.option} in {given.keep}")
        made += figures(part, found)
    for figure in made:
        print(figure.line())
    return int(any(one.met is False for one in made))


if __name__ == "__main__":
    sys.exit(main())
