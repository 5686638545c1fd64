"""What the kernel held over a phase, by all readings of its interface files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cgbench.records.confines import cpu_list
from cgbench.records.trial import FileChange, Phase
from cgbench.records.verdict import Outcome
from cgbench.spec.options import option
from cgbench.units import format_cpu_list
from cgbench.wording import count

IMPRECISE_PCT = 10.0
"""A value that is off by no more than this part of what was asked is imprecise, and not wrong."""

_WORST_FIRST = (
    Outcome.WRONG, Outcome.REVERTED, Outcome.DISCARDED, Outcome.IGNORED, Outcome.IMPRECISE,
    Outcome.INCONCLUSIVE,
)  # fmt: skip
# The numbers in these files are names of CPUs and nodes: none is nearly another.
_LISTS = "cpuset."


@dataclass(frozen=True)
class Departure:
    """How what was measured departs from what was asked; `reason` has the figures."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class _Text:
    """A text that stood in a file from `t_ns` on."""

    t_ns: int
    text: str


def departure(phase: Phase) -> Departure | None:
    """Return how the kernel departs from an accepted change, None if it held all to the end."""
    found = [one for file in phase.change.files if (one := _of_file(file, phase)) is not None]
    return worst(found) if found else _astray(phase) or _confined(phase)


def _astray(phase: Phase) -> Departure | None:
    """Say where processes are that the group of a held value does not limit, None if nowhere."""
    lost = None if phase.confines is None else phase.confines.lost(option(phase.option).controller)
    if lost is None:
        return None
    return Departure(Outcome.WRONG, f"the file holds {phase.option} {phase.label}, but {lost}")


def _confined(phase: Phase) -> Departure | None:
    """Say which CPUs of a set that the file holds cannot be used, None if all can."""
    wanted = cpu_list(str(phase.settings.get("cpuset-cpus") or ""))
    if phase.confines is None or phase.option != "cpuset-cpus" or not wanted:
        return None
    binding = phase.confines.binding(wanted)
    if binding is None:
        return None
    usable = sorted(set(wanted) & set(phase.confines.usable or ()))
    only = f"only CPU {format_cpu_list(usable)}" if usable else "no CPU"
    return Departure(
        Outcome.WRONG, f"of the set {format_cpu_list(wanted)} {only} can be used: {binding}"
    )


def worst(found: Sequence[Departure]) -> Departure:
    """Return the worst of several departures."""
    return min(found, key=lambda one: _WORST_FIRST.index(one.outcome))


def due(phase: Phase) -> bool:
    """Say whether any file had to change for the value to be in force."""
    files = [file for file in phase.change.files if file.expected is not None]
    return not files or any(
        not (stood := _stood(file, phase)) or stood[0].text != file.expected for file in files
    )


def yet_changed(phase: Phase) -> str | None:
    """Say what a refused change left changed in the kernel, None if nothing."""
    for file in phase.change.files:
        stood = _stood(file, phase)
        if stood and stood[-1].text != stood[0].text:
            return f"{file.file} went from {stood[0].text} to {stood[-1].text} all the same"
    return None


def _stood(file: FileChange, phase: Phase) -> list[_Text]:
    """Return the texts that stood one after the other; what could not be read is left out.

    Where the file was not sampled there are three readings: before, after the answer, at the end.
    """
    change = phase.change
    if file.history is None:
        found = [(change.t_request_ns, file.before), (change.t_answer_ns, file.after)]
    else:
        found = [(one.t_ns, one.text) for one in file.history.readings]
        if file.after not in file.history.texts:
            # It stood for less than the time between two samples.
            found.append((change.t_answer_ns, file.after))
            found.sort(key=lambda one: one[0])
    found.append((phase.t_end_ns, file.held))
    read = [_Text(t_ns, text) for t_ns, text in found if text is not None]
    return [one for at, one in enumerate(read) if not at or one.text != read[at - 1].text]


def _of_file(file: FileChange, phase: Phase) -> Departure | None:
    if file.expected is None:
        return None
    stood = _stood(file, phase)
    should = f"where {phase.option} {phase.label} should give {file.expected}"
    if not stood:
        return Departure(Outcome.INCONCLUSIVE, f"{file.file} could not be read {should}")
    if file.expected in [one.text for one in stood]:
        return _after_it_stood(file, phase, stood)
    last = stood[-1].text
    if len(stood) > 1:
        outcome = Outcome.IMPRECISE if nearly(file.file, last, file.expected) else Outcome.WRONG
        return Departure(outcome, f"{file.file} held {last} {should}")
    stayed = f"{file.file} stayed {last} {should}"
    if phase.change.warnings:
        warned = phase.change.warnings[0]
        return Departure(Outcome.DISCARDED, f"accepted with the warning {warned!r}; {stayed}")
    return Departure(Outcome.IGNORED, f"Docker answered ok, and {stayed}")


def _after_it_stood(file: FileChange, phase: Phase, stood: list[_Text]) -> Departure | None:
    last = stood[-1].text
    took = f"{file.file} took {file.expected} for {phase.option} {phase.label}"
    if last != file.expected:
        return Departure(Outcome.REVERTED, f"{took}, and held {last} when the phase ended")
    undone = list(_undone(file, phase, stood))
    if not undone:
        return None
    most = "at least " if file.history is not None and file.history.left_out else ""
    return Departure(
        Outcome.REVERTED,
        f"{took}, was undone {most}{count(len(undone), 'time')} and came back; "
        f"it held {undone[0].text} in between",
    )


def _undone(file: FileChange, phase: Phase, stood: list[_Text]) -> Iterator[_Text]:
    """Yield what took the place of the expected text once it had stood and been answered.

    A runtime may write a file more than once before Docker answers.
    """
    first = [one.text for one in stood].index(str(file.expected))
    for one, after in zip(stood[first:], stood[first + 1 :], strict=False):
        if one.text != file.expected and after.t_ns > phase.change.t_answer_ns:
            yield one


def nearly(file: str, found: str, expected: str) -> bool:
    """Say whether all numbers of a text are within IMPRECISE_PCT of what is expected."""
    pairs = list(zip(found.split(), expected.split(), strict=False))
    if file.startswith(_LISTS) or len(found.split()) != len(expected.split()):
        return False
    return all(one == other or _near(one, other) for one, other in pairs)


def _near(found: str, expected: str) -> bool:
    try:
        have, want = int(found), int(expected)
    except ValueError:
        return False
    return 100 * abs(have - want) <= IMPRECISE_PCT * abs(want)
