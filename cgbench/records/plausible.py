"""What the record of a trial cannot say, however well its JSON is formed."""

from __future__ import annotations

from collections.abc import Iterator

from cgbench.errors import CgbenchError
from cgbench.records.run import RunRecord
from cgbench.records.trial import Phase, TrialRecord
from cgbench.spec.options import option
from cgbench.units import NS_PER_S

_PATIENCE_NS = 600 * NS_PER_S
"""How much longer than it is held a phase may take, with a daemon that is slow to answer."""

_MOST_PER_S = 60_000
"""How many stalls or buckets at most a worker of a probe writes in a second."""


def complaint(run: RunRecord, trial: TrialRecord) -> str | None:
    """Return the first thing that no trial of this run can have left, None if there is none."""
    return next(_complaints(run, trial), None)


def most_rows(run: RunRecord, trial: TrialRecord) -> int:
    """Return how many rows any table of a trial can have, by its times and rates."""
    seconds = max(0, trial.t_end_ns - trial.t_begin_ns) // NS_PER_S + 60
    workers = sum(one.workers for one in run.experiment.containers)
    rate = run.experiment.sampling.fast_hz * len(trial.containers) + _MOST_PER_S * workers
    return seconds * rate


def _complaints(run: RunRecord, trial: TrialRecord) -> Iterator[str]:
    known = {one.role for one in run.experiment.containers}
    measured = [one.role for one in trial.containers]
    yield from (f"the experiment has no container {role}" for role in measured if role not in known)
    if len(set(measured)) < len(measured):
        yield "two containers have the same role"
    if trial.status == "ok" and trial.phases:
        lacking = sorted(known - set(measured))
        yield from (f"it has no record of the container {role}" for role in lacking)
    if trial.t_end_ns < trial.t_begin_ns:
        yield "it ends before it begins"
    numbers = [phase.number for phase in trial.phases]
    if sorted(set(numbers)) != numbers:
        yield "its phases are not in order"
    before_ns = 0
    longest_ns = max(one.hold for one in run.experiment.steps) + _PATIENCE_NS
    for phase in trial.phases:
        place = f"phase {phase.number}"
        if phase.role not in measured:
            yield f"{place}: the trial has no container {phase.role}"
        if not before_ns <= phase.change.t_request_ns <= phase.change.t_answer_ns <= phase.t_end_ns:
            yield f"{place}: its times are not in order"
        if phase.t_end_ns - phase.change.t_request_ns > longest_ns:
            yield f"{place}: it takes longer than any step of the experiment"
        before_ns = phase.t_end_ns
        yield from (f"{place}: {words}" for words in _unfit(phase))


def _unfit(phase: Phase) -> Iterator[str]:
    """Yield what is wrong with the options of a phase."""
    if phase.option not in phase.change.settings:
        yield f"--{phase.option} is not among the options it set"
    for name, value in (*phase.settings.items(), *phase.change.settings.items()):
        try:
            option(name).check(value)
        except CgbenchError as error:
            yield error.message
