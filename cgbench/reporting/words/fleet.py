"""What a fleet came to, as terminals and pages say it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cgbench.judging.fleet import Departure, Split, Standing
from cgbench.records.fleet import FleetRecord, Member, State
from cgbench.units import NS_PER_S, format_duration
from cgbench.wording import capitalised, count

SIGNS = {
    State.DONE: "✓", State.RUNNING: "…", State.WAITING: "…", State.BUSY: "!",
    State.REFUSED: "!", State.UNREACHABLE: "✗", State.LOST: "✗", State.FAILED: "✗",
}  # fmt: skip
"""A sign for each state, which distinguishes it without colour."""

MEANINGS = {
    State.DONE: "measured; its exit status stands beside it",
    State.RUNNING: "was at work when this was written",
    State.WAITING: "was not begun",
    State.BUSY: "another cgbench measures there",
    State.REFUSED: "was reached, and lacks what measuring needs",
    State.UNREACHABLE: "was not reached",
    State.LOST: "went away at work: nothing is known of it",
    State.FAILED: "its command ended without a result",
}
"""Each state as a legend explains it."""

_STATUSES = {
    0: "all as it should be", 1: "something is not as it should be", 3: "something was left open",
}  # fmt: skip


def headline(record: FleetRecord, standing: Standing) -> str:
    """Return in a sentence how many hosts gave something, and who is unlike its group."""
    done = [one for one in record.members if one.measured]
    every = count(len(record.members), "host")
    said = f"{every} measured" if len(done) == len(record.members) else (
        f"{len(done)} of {every} measured"
    )  # fmt: skip
    missing = Counter(one.state for one in record.members if not one.measured)
    if missing:
        said += f" ({', '.join(f'{number} {state}' for state, number in missing.items())})"
    unlike = standing.outliers
    if not done:
        return f"{capitalised(said)}: nothing is known of any"
    if len(done) < 3:
        return f"{capitalised(said)}: too few to say which is unlike the others"
    if not unlike:
        return f"{capitalised(said)}: none is unlike its group"
    are = "is unlike its group" if len(unlike) == 1 else "are unlike their group"
    named = ", ".join(unlike[:5]) + (f" and {len(unlike) - 5} more" if len(unlike) > 5 else "")
    return f"{capitalised(said)}: {named} {are}"


def departure(one: Departure) -> str:
    """Return in what a host is unlike its group, without the host's name."""
    subject = f"--{one.subject}" if one.of == "verdict" else one.subject
    others = f"{one.like} of {one.number} have {one.usual}"
    return f"{subject}: {one.own}; {others}"


def split(one: Split, *, option: bool = False) -> str:
    """Return how a group is divided over one thing."""
    subject = f"--{one.subject}" if option else one.subject
    return f"{subject}: " + ", ".join(f"{value} on {number}" for value, number in one.values)


def status(member: Member) -> str:
    """Return how a host's command ended."""
    if member.status is None:
        return ""
    said = _STATUSES.get(member.status)
    return f"exit {member.status}" + (f": {said}" if said else "")


def endings(record: FleetRecord) -> str | None:
    """Return on how many hosts the command ended with what, None where all is as it should be."""
    found = Counter([one.status for one in record.members if one.measured and one.status])
    if not found:
        return None
    return "; ".join(
        f"{_STATUSES.get(status, 'it ended otherwise')} on {count(number, 'host')} (exit {status})"
        for status, number in found.most_common()
    )


def took(member: Member) -> str:
    """Return how long a host took by its own clock, and what the worker beside it used."""
    if member.seconds is None:
        return ""
    said = format_duration(int(member.seconds * NS_PER_S))
    if member.worker_cpu_s is None or not member.seconds:
        return said
    return f"{said}, worker {100 * member.worker_cpu_s / member.seconds:.2f} % of a CPU"


def lines(record: FleetRecord, standing: Standing) -> list[str]:
    """Return the fleet for a terminal: what is unlike, then each host that gave nothing."""
    found = [f"{one.host}: {departure(one)}" for one in standing.departures]
    found += [f"no value is that of most: {split(one)}" for one in standing.splits]
    for group in standing.groups:
        found += [f"{_group(group.hosts)}: no verdict is that of most: {split(one, option=True)}"
                  for one in group.splits]  # fmt: skip
    found += [
        f"{one.name}: {one.state}" + (f": {one.reason}" if one.reason else "")
        for one in record.members
        if not one.measured
    ]
    return found


def _group(hosts: Sequence[str]) -> str:
    return ", ".join(hosts[:3]) + (f" and {len(hosts) - 3} more" if len(hosts) > 3 else "")
