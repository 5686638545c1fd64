"""What the kernel held over a phase, by all readings of its interface files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cgbench.judging import docker_record
from cgbench.judging.departure import Departure, stayed, worst
from cgbench.records.confines import cpu_list
from cgbench.records.trial import FileChange, Phase
from cgbench.records.verdict import Outcome
from cgbench.spec.options import option
from cgbench.units import format_cpu_list, format_duration
from cgbench.wording import count

IMPRECISE_PCT = 10.0
"""A value that is off by no more than this part of what was asked is imprecise, and not wrong."""

# The numbers in these files are names of CPUs and nodes: none is nearly another.
_LISTS = "cpuset."


@dataclass(frozen=True)
class _Text:
    """A text that stood in a file from `t_ns` on."""

    t_ns: int
    text: str


@dataclass(frozen=True)
class Neighbours:
    """The phases of the same container before and after one, None where there is none."""

    before: Phase | None = None
    after: Phase | None = None


def departure(phase: Phase, beside: Neighbours = Neighbours()) -> Departure | None:
    """Return how the kernel departs from an accepted change, None if it held all to the end.

    Docker's own record counts where the kernel holds it, and where no kernel has a file.
    """
    by_file = [(file, _of_file(file, phase, beside)) for file in phase.change.files]
    found = [one for _file, one in by_file if one is not None]
    found += [one for one in (_unasked(phase),) if one is not None]
    if not found:
        return _astray(phase) or _confined(phase) or docker_record.departure(phase)
    departed = worst(found)
    arrived = any(_moved(file, phase) for file, _one in by_file)
    if departed.outcome in (Outcome.IGNORED, Outcome.DISCARDED) and arrived:
        return Departure(Outcome.WRONG, f"a part of it arrived: {departed.reason}")
    return departed


def _moved(file: FileChange, phase: Phase) -> bool:
    """Say whether a file of which something was expected changed at all."""
    return file.expected is not None and len(_stood(file, phase)) > 1


def _unasked(phase: Phase) -> Departure | None:
    """Say which other limits changed meanwhile, None if none did."""
    if not phase.unasked:
        return None
    said = (f"{one.file} of {one.role} from {one.before} to {one.held}" for one in phase.unasked)
    return Departure(
        Outcome.WRONG, f"with {phase.option} {phase.label} nobody asked to change {', '.join(said)}"
    )


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


def due(phase: Phase) -> bool:
    """Say whether any file had to change for the value to be in force."""
    files = [file for file in phase.change.files if file.expected is not None]
    if not files:
        return docker_record.due(phase)
    # Before its birth a container has no file.
    return phase.change.via == "run" or any(
        not (stood := _stood(file, phase)) or stood[0].text != file.expected for file in files
    )


def yet_changed(phase: Phase) -> str | None:
    """Say what a refused change left changed in the kernel, None if nothing."""
    for file in phase.change.files:
        stood = _stood(file, phase)
        if stood and stood[-1].text != stood[0].text:
            return f"{file.file} went from {stood[0].text} to {stood[-1].text} all the same"
    for one in phase.unasked:
        return f"{one.file} of {one.role} went from {one.before} to {one.held} all the same"
    return docker_record.yet_changed(phase)


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


def _of_file(file: FileChange, phase: Phase, beside: Neighbours) -> Departure | None:
    if file.expected is None:
        return None
    stood = _stood(file, phase)
    ending = phase.ending
    if file.after is None and file.held is None and ending is not None and ending.oom_killed:
        # It went with the container, which the kernel ended by this very limit or another one.
        return None
    should = f"where {phase.option} {phase.label} should give {file.expected}"
    if not stood:
        return Departure(Outcome.INCONCLUSIVE, f"{file.file} could not be read {should}")
    if file.expected in [one.text for one in stood]:
        return _after_it_stood(file, phase, stood, beside)
    last = stood[-1].text
    if len(stood) > 1:
        outcome = Outcome.IMPRECISE if nearly(file.file, last, file.expected) else Outcome.WRONG
        came = _overdue(file, beside.before, phase)
        return Departure(outcome, f"{file.file} held {last} {should}{came}")
    came = _overdue(file, phase, beside.after)
    return stayed(f"{file.file} stayed {last or 'empty'} {should}{came}", phase.change)


def _overdue(file: FileChange, asked: Phase | None, came: Phase | None) -> str:
    """Say that what was asked in a phase came to stand in the next one, nothing if it did not."""
    if asked is None or came is None:
        return ""
    wanted = next((one for one in asked.change.files if one.file == file.file), None)
    found = next((one for one in came.change.files if one.file == file.file), None)
    if wanted is None or found is None or wanted.expected in (None, found.expected):
        return ""
    if wanted.expected in [one.text for one in _stood(wanted, asked)]:
        return ""
    for one in _stood(found, came)[1:]:
        if one.text == wanted.expected:
            after = format_duration(one.t_ns - asked.change.t_request_ns)
            return (
                f"; {wanted.expected}, asked for by {asked.label}, came after its phase, {after} "
                "after the request"
            )
    return ""


def _after_it_stood(
    file: FileChange, phase: Phase, stood: list[_Text], beside: Neighbours
) -> Departure | None:
    last = stood[-1].text
    took = f"{file.file} took {file.expected} for {phase.option} {phase.label}"
    if last != file.expected:
        came = _overdue(file, beside.before, phase)
        return Departure(Outcome.REVERTED, f"{took}, and held {last} when the phase ended{came}")
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
