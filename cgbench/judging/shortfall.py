"""Who had the CPU time that a container should have had, and did not get.

The CPUs of a host are idle, stolen, or used by somebody, and these parts were read one by one. All
that others used may have been the container's, and each bears its part of what is lacking. What is
lacking beyond that nobody took: the limit let the container have less than it says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from cgbench.judging.run import Run
from cgbench.judging.summary import Entry
from cgbench.records.account import Account
from cgbench.records.run import PointKey

METRIC = "cpus_used"
# Less than this is told in no part.
_LEAST_CPUS = 0.0005


@dataclass(frozen=True)
class Taker:
    """One that had CPU time which was another's due, in CPUs; `what` is its kind.

    `process` is the name that a process gives itself, `pid` its number.
    """

    what: str
    cpus: float
    process: str | None = None
    pid: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"what": self.what, "cpus": self.cpus, "process": self.process, "pid": self.pid}


LIMIT, STEAL, OTHERS = "the limit itself", "the hypervisor", "other processes"
CGBENCH, DAEMON = "cgbench", "Docker's daemons"


@dataclass(frozen=True)
class Shortfall:
    """What a container got less than `expected`, in CPUs, over whole phases: mean of `trials`.

    The parts add up to what is lacking, the largest first. `slowed` is how often heat slowed a
    core meanwhile: that takes work, and no CPU time.
    """

    key: PointKey
    expected: float
    used: float
    trials: int
    takers: tuple[Taker, ...]
    slowed: int

    @property
    def lacking(self) -> float:
        """How much CPU time was lacking, in CPUs."""
        return self.expected - self.used

    def to_json(self) -> dict[str, Any]:
        """Return it as `cgbench show RUN --json` gives it."""
        return {
            **self.key._asdict(), "expected": self.expected, "used": self.used,
            "trials": self.trials, "takers": [one.to_json() for one in self.takers],
            "slowed_by_heat": self.slowed,
        }  # fmt: skip


def shortfalls(run: Run) -> Iterator[Shortfall]:
    """Yield what is lacking where a container had less CPU time than its band allows.

    Left out is what no account is known of: an older cgbench kept none.
    """
    for entry in run.summary:
        estimate = entry.estimate
        if entry.metric != METRIC or estimate.within is not False or estimate.expected is None:
            continue
        if estimate.median < estimate.expected:
            found = _of_point(run, entry)
            if found is not None and found.lacking > 0:
                yield found


def _of_point(run: Run, entry: Entry) -> Shortfall | None:
    expected = entry.estimate.expected or 0.0
    accounts = [
        (trial.number, phase.account)
        for trial in run.finished
        for phase in trial.phases
        if phase.account is not None
        and phase.point(entry.key.role) == entry.key
        and phase.role == run.owners[entry.key]
    ]
    known = [
        (number, parts)
        for number, one in accounts
        if (parts := parted(one, entry.key.role, expected)) is not None
    ]
    split = [parts for _number, parts in known]
    if not split:
        return None
    used = fmean(expected - sum(parts.values()) for parts in split)
    names = dict.fromkeys(name for parts in split for name in parts)
    means = {name: fmean(parts.get(name, 0.0) for parts in split) for name in names}
    takers = [
        Taker(what, cpus, process, pid)
        for (what, process, pid), cpus in means.items()
        if abs(cpus) >= _LEAST_CPUS
    ]
    return Shortfall(
        entry.key, expected, used, len({number for number, _parts in known}),
        tuple(sorted(takers, key=lambda one: -one.cpus)),
        sum(one.slowed or 0 for _number, one in accounts),
    )  # fmt: skip


Who = tuple[str, str | None, int | None]
"""A kind of taker, and of a process its name and number."""


def parted(account: Account, role: str, expected: float) -> Mapping[Who, float] | None:
    """Return who had how much of what a container should have had, in CPUs; negative where less.

    None where a part of the account is not known.
    """
    seconds, used_s, others_s = account.seconds, account.containers.get(role), account.others_cpu_s
    if seconds <= 0 or used_s is None or others_s is None:
        return None
    taken: dict[Who, float] = {
        (STEAL, None, None): account.steal_cpu_s / seconds,
        (CGBENCH, None, None): account.cgbench_cpu_s / seconds,
        (DAEMON, None, None): (account.daemon_cpu_s or 0.0) / seconds,
    }
    for one in account.largest:
        taken[OTHERS, one.name, one.pid] = one.cpu_s / seconds
    named_s = sum(one.cpu_s for one in account.largest)
    taken[OTHERS, None, None] = (others_s - named_s) / seconds
    lacking, whole = expected - used_s / seconds, sum(taken.values())
    borne = min(max(0.0, lacking), max(0.0, whole))
    share = borne / whole if whole > 0 else 0.0
    return {
        (LIMIT, None, None): lacking - borne,
        **{name: share * cpus for name, cpus in taken.items()},
    }
