"""Take CPU time from a container in known ways, and see whether cgbench says who had it.

Ten trials each beside a busy process, beside a daemon that is asked without pause, and sampled at
2 kHz. What is lacking is that of the steady part of a phase, by the samples of the usage counter;
the parts are those of the account of the whole phase, which knows nothing of the samples. Both must
come to the same, and the largest part must be the one that was made. Exit status 1 if a bar was
missed. It needs root, the image and an idle Docker.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from cgbench.commands import session
from cgbench.commands.session import Session
from cgbench.host import description, preconditions
from cgbench.judging.run import Run, load
from cgbench.judging.shortfall import CGBENCH, DAEMON, METRIC, OTHERS, Who, parted
from cgbench.measuring import run as runner
from cgbench.measuring.progress import Silent
from cgbench.spec import experiment_file
from cgbench.spec.experiment import Experiment, Sampling
from tests.bench.figure import Figure, at_most

TRIALS, MOST_CPUS = 10, 0.03
_ASK = """
import http.client, socket
class Daemon(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/var/run/docker.sock")
daemon = Daemon("localhost")
while True:
    daemon.request("GET", "/containers/json?all=1&size=1")
    daemon.getresponse().read()
"""


@dataclass(frozen=True)
class Kind:
    """A way to take CPU time: what is started meanwhile, how fast is sampled, who then had it."""

    name: str
    beside: Callable[[], AbstractContextManager[None]]
    fast_hz: int
    taker: str


@contextlib.contextmanager
def beside(program: str) -> Iterator[None]:
    """Run a program of Python meanwhile that is no child of this process: those are cgbench's."""
    started = subprocess.run(
        ["sh", "-c", 'timeout 600 "$0" -c "$1" >/dev/null 2>&1 & echo $!', sys.executable, program],
        check=True, capture_output=True, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield
    finally:
        os.kill(int(started.stdout), signal.SIGTERM)


KINDS = (
    Kind("busy process", lambda: beside("while True: pass"), 1000, OTHERS),
    Kind("busy daemon", lambda: beside(_ASK), 1000, DAEMON),
    Kind("sampler at 2 kHz", contextlib.nullcontext, 2000, CGBENCH),
)  # fmt: skip


def experiment(kind: Kind, cpus: int, trials: int) -> Experiment:
    """Return one that wants nearly all of the host."""
    one = experiment_file.load("cpu-quota-sweep")
    (worker,) = one.containers
    step = one.steps[0].model_copy(
        update={"set": {"cpu-quota": cpus * 100_000 - 5_000}, "hold": 3_000_000_000}
    )
    return one.model_copy(update={
        "name": f"lacking-{kind.taker.split()[0].lower().replace(chr(39), '')}",
        "containers": (worker.model_copy(update={"workers": 2 * cpus}),),
        "steps": (step,), "trials": trials, "verify": None,
        "sampling": Sampling(fast_hz=kind.fast_hz),
    })  # fmt: skip


def measured(here: Session, wanted: Experiment) -> Run:
    request = runner.Request(wanted, here.image, here.results, here.seed)
    directory = runner.begin(request, here.engine, preconditions.preconditions(wanted.requires))
    runner.execute(directory, directory.run(), here.engine, Silent())
    return load(directory)


def compared(run: Run) -> Iterator[tuple[float, float, Who]]:
    """Yield for each trial what is lacking, what the parts come to, and the largest part."""
    lacking = {
        row.trial: row.expected - row.value
        for row in run.rows
        if row.metric == METRIC and row.expected is not None
    }
    for trial in run.finished:
        (phase,) = trial.phases
        assert phase.account is not None
        (row,) = (row for row in run.rows if row.metric == METRIC and row.trial == trial.number)
        parts = parted(phase.account, phase.role, row.expected or 0.0)
        assert parts is not None
        yield lacking[trial.number], sum(parts.values()), max(parts, key=lambda who: parts[who])


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.bench.shortfalls", description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS, help="of each kind")
    given = parser.parse_args()
    off: list[float] = []
    figures: list[Figure] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        session.opened(Path(folder), seed=1) as here,
    ):
        for kind in KINDS:
            with kind.beside():
                wanted = experiment(kind, description.cpus(), given.trials)
                run = measured(here, wanted)
            found = list(compared(run))
            for lacking, parts, (what, process, _pid) in found:
                print(f"{kind.name}: lacking {lacking:.3f}, parts {parts:.3f} CPUs, "
                      f"most of it {process or what}", flush=True)  # fmt: skip
            off += [abs(lacking - parts) for lacking, parts, _who in found]
            other = sum(what != kind.taker for _, _, (what, _process, _pid) in found)
            figures.append(at_most(f"{kind.name}: another had most", 0, other, digits=0))
    worst = max(off)
    name = f"{len(off)} trials: parts off what is lacking by"
    figures.insert(0, at_most(name, MOST_CPUS, worst, " CPUs", digits=3))
    for figure in figures:
        print(figure.line())
    return int(any(one.met is False for one in figures))


if __name__ == "__main__":
    sys.exit(main())
