"""What `docker update` and `cat` say in a guest, beside the verdict of its truth table."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from cgbench.records.truth import TruthTable
from cgbench.records.verdict import Outcome
from tests.lab.machine import Machine

# Where a value that `cat` was given is in the file when the update has been answered. One of the
# other values may be refused, missed or undone.
IN_FORCE = (
    Outcome.EFFECTIVE, Outcome.IMPRECISE, Outcome.PARTIAL, Outcome.WRONG, Outcome.INEFFECTIVE,
    Outcome.REVERTED,
)  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """What a shell in the guest saw around one `docker update`."""

    status: int
    said: str
    before: str | None
    after: str | None

    def disagreement(self, verdict: Outcome, should: Sequence[str]) -> str | None:
        """Return what a verdict says that is not so, None if it agrees with what was read.

        `should` are the texts that would be right.
        """
        if verdict in IN_FORCE:
            agrees = self.status == 0 and self.after in should
        elif verdict in (Outcome.IGNORED, Outcome.DISCARDED):
            agrees = self.status == 0 and self.after == self.before
        elif verdict is Outcome.REJECTED:
            agrees = self.status != 0 and self.after == self.before
        elif verdict is Outcome.UNSUPPORTED:
            # No file, or one that is set as asked and has nothing to act on.
            agrees = self.after is None or self.after in should
        else:
            agrees = False
        return None if agrees else f"{verdict.value}, and by hand {self}"


@dataclass(frozen=True)
class Try:
    """An update, and by hand, not from the registry: its file on v2 and v1, and the right text."""

    update: str
    file: str
    file_v1: str
    should: str
    should_v1: str


TRIES = {
    "cpus": Try("--cpus 0.5", "cpu.max", "cpu.cfs_quota_us", "50000 100000", "50000"),
    "cpuset-cpus": Try("--cpuset-cpus 1", "cpuset.cpus", "cpuset.cpus", "1", "1"),
    "memory": Try("--memory 64m --memory-swap 512m", "memory.max", "memory.limit_in_bytes",
                  "67108864", "67108864"),
    "pids-limit": Try("--pids-limit 77", "pids.max", "pids.max", "77", "77"),
}  # fmt: skip
"""Options that every row has, and whose files do not depend on the runtime."""


def read(machine: Machine, options: str, file: str) -> Reading:
    """Update a sleeping container with Docker's own client, and `cat` the file around it."""
    born = "--memory 64m --memory-swap 96m" if options.startswith("--memory-swap") else ""
    tag = machine.read("docker images -q cgbench/workload").split()[0]
    controller = file.partition(".")[0]
    script = f"""
        c=$(docker run --detach --network none {born} {tag} sleep 300)
        p=$(docker inspect -f '{{{{.State.Pid}}}}' $c)
        g=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$p/cgroup)
        v1=$(grep -E ':([^:]*,)?{controller}(,[^:]*)?:' /proc/$p/cgroup)
        [ -z "$v1" ] || g=/sys/fs/cgroup/{controller}${{v1##*:}}
        cat $g/{file} 2>/dev/null || echo absent
        echo ----
        docker update {options} $c 2>&1; status=$?
        echo ----
        cat $g/{file} 2>/dev/null || echo absent
        echo ----
        docker rm --force $c >/dev/null
        echo $status
    """
    said = machine.read(f"bash -c {shlex.quote(script)}", 120).split("----\n")
    before, answer, after, status = said
    held = [None if text.strip() == "absent" else text.strip() for text in (before, after)]
    return Reading(int(status), answer.strip(), *held)


def disagreements(machine: Machine, table: TruthTable) -> list[str]:
    """Return where a table's verdicts and a shell in the guest do not agree."""
    found = []
    for row in table.rows:
        one = TRIES.get(row.verdict.option)
        if one is None or row.verdict.verdict is Outcome.INCONCLUSIVE:
            continue
        v2 = table.host.cgroup == "v2"
        seen = read(machine, one.update, one.file if v2 else one.file_v1)
        said = seen.disagreement(row.verdict.verdict, [one.should if v2 else one.should_v1])
        if said is not None:
            found.append(f"{one.update}: {said}")
    return found
