"""A metric across runs: one series per experiment, container, value and host, in order of time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from cgbench.errors import HistoryError, StoreError
from cgbench.judging import change_points, checks
from cgbench.judging.change_points import FEWEST
from cgbench.judging.run import load
from cgbench.judging.summary import Entry as SummaryEntry
from cgbench.judging.trend import Entry, History, LeftOut, SeriesKey, Shift, Trend
from cgbench.records import results as run_directory
from cgbench.records.agreement import SHIFTING, conditions
from cgbench.records.run import RunRecord
from cgbench.records.run_directory import RunDirectory
from cgbench.spec.metrics import METRICS, nearest
from cgbench.wording import count


@dataclass(frozen=True)
class Wanted:
    """What to look at: a metric, narrowed where a name is given."""

    metric: str
    experiment: str | None = None
    role: str | None = None
    requested: str | None = None


def read(results: Path, wanted: Wanted) -> History:
    """Return the trends of a metric over all runs under `results`.

    Raises HistoryError when the metric is unknown, when no run has what is wanted, when every
    series is too short, or where Otava is not installed.
    """
    _check_metric(wanted.metric)
    change_points.require()
    directories = run_directory.runs(results)
    if not directories:
        raise HistoryError(f"no runs under {results}", "Measure some: cgbench run EXPERIMENT.")
    gathered, left_out = _gathered(directories, wanted.experiment)
    chosen = _narrowed(gathered, wanted, results, left_out)
    longest = max(len(entries) for entries in chosen.values())
    if longest < FEWEST:
        raise HistoryError(
            f"too few runs: the longest series of {wanted.metric} has {longest}, and change "
            f"points need {FEWEST}",
            "Measure more, or look at single runs: cgbench report RUN...",
        )
    unit = METRICS[wanted.metric].unit
    trends = tuple(_trend(key, unit, entries) for key, entries in chosen.items())
    return History(wanted.metric, unit, trends, tuple(left_out))


Place = tuple[SeriesKey, str]
Gathered = dict[Place, list[Entry]]


def _check_metric(metric: str) -> None:
    if metric not in METRICS:
        raise HistoryError(f"no metric is called {metric}", nearest(metric))


def _gathered(
    directories: Sequence[RunDirectory], experiment: str | None
) -> tuple[Gathered, list[LeftOut]]:
    """Return every run's entries by series and metric.

    A run that cannot be read is named; those of `verify`, `gate` and `ab` are counted. Of these,
    runs of other experiments than the one that was named are passed over.
    """
    found: Gathered = {}
    left_out: list[LeftOut] = []
    others: Counter[str] = Counter()
    for directory in directories:
        try:
            run = load(directory)
            record = run.record
            if not record.for_itself:
                if experiment in (None, record.experiment.name):
                    others[_command(record)] += 1
                continue
            entries = run.summary
            _begun(record)
        except (StoreError, ValueError) as error:
            # One damaged run must not hide all others: its error is shown beside the figures.
            if experiment in (None, directory.path.parent.name):
                left_out.append(LeftOut(directory.path.name, str(error).splitlines()[0]))
            continue
        ran_under, doubt = _conditions(record), "; ".join(checks.disturbances(run)) or None
        for one in entries:
            place = (_key(record, one), one.metric)
            found.setdefault(place, []).append(_entry(record, one, ran_under, doubt))
    left_out += [
        LeftOut(count(number, "run"), f"measured by {command}, for another question")
        for command, number in sorted(others.items())
    ]
    return found, left_out


def _command(record: RunRecord) -> str:
    """Return the command that measured a run; both sides of `ab` are its."""
    return (record.purpose or "run").rpartition(" of ")[2]


def _key(record: RunRecord, one: SummaryEntry) -> SeriesKey:
    return SeriesKey(
        experiment=record.experiment.name,
        hostname=record.host.hostname,
        cpu_model=record.host.cpu_model,
        quick=record.quick,
        **one.key._asdict(),
    )


def _begun(record: RunRecord) -> datetime:
    """Return when a run began. Raises StoreError if that is not a time with a zone."""
    try:
        found = datetime.fromisoformat(record.started)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise StoreError(f"{record.run}: started is {record.started!r}, not a time with a zone")
    return found


def _entry(
    record: RunRecord, one: SummaryEntry, ran_under: Mapping[str, str], doubt: str | None
) -> Entry:
    found = one.estimate
    return Entry(
        run=record.run,
        started=_begun(record),
        value=found.median,
        low=found.median if found.low is None else found.low,
        high=found.median if found.high is None else found.high,
        trials=found.trials,
        conditions=ran_under,
        doubt=doubt,
    )


def _conditions(record: RunRecord) -> dict[str, str]:
    """Return the conditions to check first when a figure has changed."""
    known = conditions(record)
    return {key.words: key.text(known) for key in SHIFTING}


def _narrowed(
    found: Gathered, wanted: Wanted, results: Path, left_out: Sequence[LeftOut]
) -> dict[SeriesKey, list[Entry]]:
    """Return the wanted series, ordered by key.

    Raises HistoryError that lists the available values where nothing matches.
    """
    if not found:
        why = f": {left_out[0].run}: {left_out[0].reason}" if left_out else ""
        raise HistoryError(
            f"no run under {results} has a figure{why}", "List the runs: cgbench list."
        )
    chosen = list(found)
    # A value selects all of its notes; a value with a note selects that one.
    filters: tuple[tuple[str, str | None, Callable[[Place], Sequence[str]]], ...] = (
        ("--experiment", wanted.experiment, lambda place: [place[0].experiment]),
        ("METRIC", wanted.metric, lambda place: [place[1]]),
        ("--role", wanted.role, lambda place: [place[0].role]),
        ("--requested", wanted.requested, lambda place: [place[0].requested, place[0].label]),
    )
    for option, value, of in filters:
        if value is None:
            continue
        available = list(dict.fromkeys(of(place)[-1] for place in chosen))
        chosen = [place for place in chosen if value in of(place)]
        if not chosen:
            raise HistoryError(
                f"no run under {results} has {option} {value}",
                f"Available: {', '.join(available)}.",
            )
    # Sorting is stable: values keep the order of their schedule.
    chosen.sort(key=lambda place: place[0].group)
    return {place[0]: sorted(found[place], key=lambda one: one.started) for place in chosen}


def _trend(key: SeriesKey, unit: str, entries: Sequence[Entry]) -> Trend:
    changes = change_points.find([one.value for one in entries])
    shifts = [
        Shift(index, what, before.conditions[what], after.conditions[what])
        for index, (before, after) in enumerate(pairwise(entries), 1)
        for what in after.conditions
        if before.conditions[what] != after.conditions[what]
    ]
    return Trend(key, unit, tuple(entries), tuple(changes), tuple(shifts))
