"""Why a container ended, stalls or is refused something: which limit of which level, or none.

Judged from what was read; what cannot be told apart is said to be a guess, and what is not known
any more is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from cgbench.judging import end, hindrance
from cgbench.judging.kills import NEAR_S
from cgbench.records.cause import Cause, Explained, Traces, What
from cgbench.records.watch import Mark

_ENDED = ("exited", "dead", "restarting")
_RUNS = ("running", "paused")


def explain(traces: Traces) -> Explained:
    """Return what is known of one container: its causes, the decisive one first."""
    past, unknown = traces.past, list(_unread(traces))
    causes: list[Cause] = []
    if past.status == "created":
        causes += [end.never(past)] if past.error else []
    elif past.status in _ENDED:
        life = end.End.of(past, traces)
        causes += life.causes()
        unknown += life.unknown()
    elif past.status in _RUNS:
        causes += hindrance.hindrances(traces)
        before = end.before(traces)
        if before is not None:
            causes += before.causes()
    elif past.status == "removed":
        causes += end.removed(traces)
        unknown += end.forgotten(traces)
    return Explained(
        id=past.id, name=past.name, state=past.status, causes=tuple(causes),
        unknown=tuple(dict.fromkeys(unknown)),
    )  # fmt: skip


def with_kept(found: Explained, marks: Sequence[Mark], since: float = 0.0) -> Explained:
    """Return it with what was known of its end at that moment, where that is not sure any more.

    `marks` are those that `cgbench watch` kept, the oldest first; what is older than `since`, in
    seconds of UNIX time, is of an earlier life.
    """
    kept = [
        one
        for one in marks
        if one.id == found.id and one.cause is not None and _at(one) >= since - NEAR_S
    ]
    decisive = found.causes[0] if found.causes else None
    if not kept or (decisive is not None and decisive.sure and decisive.what is not What.REMOVED):
        return found
    mark = kept[-1]
    assert mark.cause is not None
    said = f"cgbench watch: {mark.at} {mark.kind}"
    cause = mark.cause.model_copy(update={"evidence": (*mark.cause.evidence, said)})
    return found.model_copy(update={"causes": (cause, *found.causes)})


def _at(mark: Mark) -> float:
    """Return when a mark was made, in seconds of UNIX time; 0 where it does not say."""
    try:
        return datetime.fromisoformat(mark.at).timestamp()
    except ValueError:
        return 0.0


def _unread(traces: Traces) -> Iterator[str]:
    if traces.kills is None:
        yield "the kernel's log may not be read here: run it as root"
    if traces.events is None:
        yield "Docker told nothing of its events"
