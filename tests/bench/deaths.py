"""End and hinder containers in known ways, and see whether `why` says what was done, and where.

Containers of this process alone are touched, and groups that it makes. Exit status 1 if an answer
is not the one stated by hand. It needs root and the image.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from cgbench.commands.why import why
from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.engine.labels import LABEL, OWNER
from cgbench.host import cgroups, lock
from cgbench.host.scratch import ownership
from cgbench.records.cause import Explained, What
from cgbench.spec import workload
from tests.bench.drills import systemd
from tests.bench.figure import Figure, at_most
from tests.bench.host_list import parent

GROUP = "/cgbench-died"
MIB = 2**20
_SLOWEST_S = 60.0
# Past the first periods, forks and pages; what is counted only grows afterwards.
_HELD_S = 3.0

_HOG = "b = b'x' * (200 << 20)"
_EVERYTHING = "a = []\nwhile True: a.append(b'x' * (16 << 20))"
_FORKS = """
import os, time
for _ in range(40):
    try:
        if not os.fork():
            time.sleep(100)
    except OSError:
        pass
time.sleep(100)
"""
_SPIN = "while True: pass"
_READ = """
with open('/tmp/file', 'wb') as file:
    for _ in range(64):
        file.write(bytes(1 << 20))
while True:
    with open('/tmp/file', 'rb') as file:
        while file.read(65536):
            pass
"""


def _nothing(_name: str) -> None:
    pass


def docker(*arguments: str) -> Callable[[str], None]:
    """Return what runs a command of docker's on a container."""

    def run(name: str) -> None:
        subprocess.run(["docker", *arguments, name], check=True, stdout=subprocess.DEVNULL)

    return run


def killed(name: str) -> None:
    """Kill a container's first process from outside, past Docker."""
    shown = subprocess.run(
        ["docker", "inspect", "--format", "{{.State.Pid}}", name],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    os.kill(int(shown.stdout), signal.SIGKILL)


@dataclass(frozen=True)
class Death:
    """One container, what is done to it, and what must be said first: what, which limit, whose."""

    name: str
    command: tuple[str, ...]
    what: What | None
    limit: str | None
    level: str
    options: tuple[str, ...] = ()
    done: Callable[[str], None] = _nothing
    status: str = "exited"
    above: Mapping[str, str] = field(default_factory=dict)


def python(program: str) -> tuple[str, ...]:
    """Return a command that runs a program, and ends in any case."""
    return ("timeout", "120", "python3", "-c", program)


def deaths(version: int, *, whole_host: bool = False) -> list[Death]:
    """Return every case of a host whose controllers are of a cgroup version.

    With `whole_host` also that which fills its memory.
    """
    memory = ("-m", "32m", "--memory-swap", "32m")
    shell = ("timeout", "120", "sh", "-c")
    child = (*shell, f'python3 -c "{_HOG}"; sleep 100')
    sleep = ("timeout", "120", "sleep", "100")
    v1 = version == 1
    # Without swap, where what is beyond the limit would go.
    low = (
        {"memory.limit_in_bytes": str(32 * MIB), "memory.memsw.limit_in_bytes": str(32 * MIB)}
        if v1
        else {"memory.max": str(32 * MIB), "memory.swap.max": "0"}
    )
    quota = {"cpu.cfs_quota_us": "20000"} if v1 else {"cpu.max": "20000 100000"}
    return [
        Death("own memory", python(_HOG), What.KILLED, "memory", "container", memory),
        Death("memory of the group above", python(_HOG), What.KILLED, "memory", "ancestor",
              above=low),
        Death("less memory above than its own", python(_HOG), What.KILLED, "memory", "ancestor",
              ("-m", "64m", "--memory-swap", "64m"), above=low),
        Death("a child that was killed", child, What.CHILD_KILLED, "memory", "container", memory,
              status="running"),
        Death("a child that was killed for the group above", child, What.CHILD_KILLED, "memory",
              "ancestor", status="running", above=low),
        Death("a plain kill", sleep, What.SIGNAL, None, "none", done=killed),
        Death("a plain kill of one with a limit", sleep, What.SIGNAL, None, "none", memory,
              done=killed),
        Death("docker kill", sleep, What.ASKED, None, "none", done=docker("kill")),
        Death("docker stop", sleep, What.ASKED, None, "none", done=docker("stop", "-t", "1")),
        Death("docker stop of one that ends well", (*shell, "trap 'exit 0' TERM; while :; do "
              "sleep 0.1; done"), What.ASKED, None, "none", done=docker("stop", "-t", "5")),
        Death("a status of its own", (*shell, "exit 3"), What.EXIT, None, "none"),
        Death("its own word for a kill", ("sh", "-c", "exit 137"), What.SIGNAL, None, "none"),
        Death("a clean end", ("true",), What.EXIT, None, "none"),
        Death("its deadline", ("timeout", "--signal=KILL", "1", "sleep", "100"), What.DEADLINE,
              None, "none"),
        Death("no such program", ("nope",), What.NEVER_STARTED, None, "none", status="created"),
        Death("its policy", ("sh", "-c", "sleep 1; exit 3"), What.EXIT, None, "none",
              ("--restart", "on-failure:2")),
        Death("its own tasks", python(_FORKS), What.FORK_REFUSED, "pids", "container",
              ("--pids-limit", "10"), status="running"),
        Death("tasks of the group above", python(_FORKS), What.FORK_REFUSED, "pids", "ancestor",
              ("--pids-limit", "100"), status="running", above={"pids.max": "12"}),
        Death("tasks of its user", python(_FORKS), What.FORK_REFUSED, "processes-of-user", "user",
              ("--ulimit", "nproc=8:8", "--user", "54321:54321"), status="running"),
        Death("its own quota", python(_SPIN), What.THROTTLED, "cpus", "container",
              ("--cpus", "0.2"), status="running"),
        Death("the quota of the group above", python(_SPIN), What.THROTTLED, "cpus", "ancestor",
              status="running", above=quota),
        Death("pages that are taken", python(_READ), What.RECLAIMED, "memory", "container",
              ("-m", "24m", "--memory-swap", "24m"), status="running"),
        *([Death("memory, and nobody is killed", python(_HOG), What.WAITING, "memory", "container",
                 (*memory, "--oom-kill-disable"), status="running")] if v1 else ()),
        Death("a pause", sleep, What.FROZEN, None, "none", done=docker("pause"), status="paused"),
        # All CPUs: with fewer the start alone uses up a quota where the CPU is emulated.
        Death("nothing at all", sleep, None, None, "none", ("--cpus", "2", *memory),
              status="running"),
        Death("memory, and it was removed", python(_HOG), What.KILLED, "memory", "container",
              memory, done=docker("rm"), status="removed"),
        *([Death("the memory of the host", python(_EVERYTHING), What.KILLED, "memory", "host",
                 ("-m", "64g", "--memory-swap", "64g"))]
          if whole_host else ()),
    ]  # fmt: skip


@contextmanager
def died(engine: Engine, tag: str, number: int, death: Death) -> Iterator[str]:
    """Let a container end, or be hindered, and yield its name."""
    with ExitStack() as stack:
        name, options = f"cgbench-died-{os.getpid()}-{number}", list(death.options)
        if death.above:
            above = parent(GROUP, number, death.above, systemd=systemd(engine))
            options += ["--cgroup-parent", stack.enter_context(above)]
        stack.callback(
            subprocess.run, ["docker", "rm", "-f", name], check=False, capture_output=True
        )
        entrypoint, *arguments = death.command
        begun = subprocess.run(
            ["docker", "run", "-d", "--name", name, "--network", "none", "--cap-drop", "ALL",
             "--label", f"{LABEL}=died", "--label", f"{OWNER}={ownership.this_process()}",
             "--oom-score-adj", "1000", "--entrypoint", entrypoint, *options, tag, *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (begun.returncode == 0) == (death.status != "created"), begun.stderr
        if death.status == "removed":
            _await(name, "exited")
        death.done(name)
        if death.status == "running":
            time.sleep(_HELD_S)
        _await(name, death.status)
        yield name


def _await(name: str, status: str) -> None:
    limit = time.monotonic() + _SLOWEST_S
    while True:
        shown = subprocess.run(
            ["docker", "inspect", "--format", "{{.State.Status}}", name],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        now = shown.stdout.strip() if shown.returncode == 0 else "removed"
        if now == status:
            return
        assert time.monotonic() < limit, f"{name} is {now}, not {status}"
        time.sleep(0.05)


def wrong(death: Death, found: Explained) -> str | None:
    """Say what is not as it must be, None if nothing."""
    if death.what is None:
        return None if not found.causes else f"{found.causes[0].what}: {found.causes[0].reason}"
    if not found.causes:
        return "nothing was said"
    one = found.causes[0]
    said = (one.what, one.limit, one.level)
    if said != (death.what, death.limit, death.level):
        return f"{', '.join(map(str, said))}: {one.reason}"
    if death.above and GROUP[1:8] not in (one.path or ""):
        return f"of the group {one.path}"
    return None if one.sure else f"only probably: {one.reason}; {'; '.join(found.unknown)}"


def measured(names: tuple[str, ...] = (), *, whole_host: bool = False) -> list[Figure]:
    """Run all cases, or some; return what they come to."""
    engine, tag, bad = Engine(), image.tag(workload.directory()), []
    every = [one for one in deaths(cgroups.at("/").version("memory"), whole_host=whole_host)
             if not names or one.name in names]  # fmt: skip
    try:
        for number, death in enumerate(every):
            with died(engine, tag, number, death) as name:
                found = why(name, engine)
            said = wrong(death, found)
            bad += [death.name] if said is not None else []
            reason = found.causes[0].reason if found.causes else "nothing"
            print(f"{'ok ' if said is None else 'BAD'} {death.name}: {reason}", flush=True)
            if said is not None:
                print(f"        BAD: {said}", flush=True)
    finally:
        engine.close()
    return [at_most(f"{len(every)} deaths and hindrances: wrong answers", 0, len(bad), digits=0)]


def main() -> int:
    """Run the cases and print their figure."""
    parser = argparse.ArgumentParser(prog="tests.bench.deaths", description=__doc__)
    parser.add_argument("--name", action="append", default=[])
    parser.add_argument(
        "--whole-host",
        action="store_true",
        help="also fill the host's memory: only in a machine that is yours",
    )
    given = parser.parse_args()
    with lock.exclusively():
        figures = measured(tuple(given.name), whole_host=given.whole_host)
    for figure in figures:
        print(figure.line())
    return int(any(one.met is False for one in figures))


if __name__ == "__main__":
    sys.exit(main())
