"""Forks that were refused, as the kernel's log has them: whose they were."""

from __future__ import annotations

from cgbench.judging import kills
from cgbench.records.cause import Cause, ForkRefusal, Traces, What
from cgbench.spec.group_name import own_group


def of_life(traces: Traces, begin: float, end: float) -> list[ForkRefusal]:
    """Return the refusals in one life of a container, whose start Docker notes a little late."""
    return [
        one
        for one in traces.refusals
        if begin - kills.NEAR_S <= one.at <= end + kills.NEAR_S
        and own_group(one.group, traces.past.id) is not None
    ]


def before_end(refusal: ForkRefusal, container_id: str, end: float, status: int) -> Cause:
    """Return that a refused fork may have ended a container, which did so with a status."""
    own = refusal.group == own_group(refusal.group, container_id)
    where = "it" if own else f"the group {refusal.group} inside it"
    passed = max(0.0, end - refusal.at)
    return Cause(
        what=What.FORK_REFUSED, limit="pids", level="container" if own else "inside",
        path=refusal.group, at=kills.when(refusal.at),
        reason=f"a limit of tasks refused a fork in {where}, and {passed:.1f} s later it ended "
        f"with status {status}; the kernel tells of the first one alone, and not whether a group "
        "above set that limit",
        evidence=(
            f"dmesg: {kills.when(refusal.at)} fork rejected by pids controller in {refusal.group}",
        ),
        sure=False,
    )  # fmt: skip
