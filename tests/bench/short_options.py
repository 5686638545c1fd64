"""For each option a short experiment: some values, one trial, a few seconds.

It also says what an honest daemon gets for these values on the development machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cgbench.records.verdict import Outcome
from cgbench.spec import experiment_file
from cgbench.spec.experiment import Experiment
from cgbench.spec.option import Option
from cgbench.spec.options import OPTIONS

Holds = Literal["a quantity", "names", "a policy"]
"""What a value of an option is: names and policies cannot be nearly right."""


@dataclass(frozen=True)
class Short:
    """One option with the experiment that tries it.

    `beside` are options set in the same update, of which a liar may leave one out. `honest` is the
    verdict where nobody spoils anything. `unable` says why no update changes the kernel's value
    here: a lie about that shows nothing.
    """

    option: Option
    text: str
    holds: Holds = "a quantity"
    beside: tuple[str, ...] = ()
    honest: Outcome = Outcome.EFFECTIVE
    unable: str | None = None

    @property
    def name(self) -> str:
        """The option's name."""
        return self.option.name

    @property
    def experiment(self) -> Experiment:
        """What is run."""
        return experiment_file.parse(_HEAD.format(self.name) + self.text, f"short-{self.name}")

    @property
    def attended(self) -> Experiment:
        """What is run where another container is needed that nothing is asked of."""
        if len(self.experiment.containers) > 1:
            return self.experiment
        text = _HEAD.format(self.name) + self.text + _BYSTANDER
        return experiment_file.parse(text, f"short-{self.name}")

    @property
    def in_kernel(self) -> bool:
        """Whether any kernel has a file for it."""
        return self.option.in_kernel


_HEAD = """
name = "short-{0}"
title = "{0}, tried in a few seconds"
question = "Is it told what a daemon or a host did to it?"
option = "{0}"
trials = 1
warmup = "100ms"
"""

_SPIN = """
[[containers]]
role = "worker"
workload = "spin"
workers = {workers}
options = {{ {options} }}

[[steps]]
set = {{ {values} }}
hold = "{hold}"
"""


def _spin(options: str, values: str, *, workers: int = 1, hold: str = "1300ms") -> str:
    return _SPIN.format(options=options, values=values, workers=workers, hold=hold)


_SHARES = """
[[containers]]
role = "small"
workload = "spin"
options = { cpuset-cpus = "1", cpu-shares = 1024 }

[[containers]]
role = "big"
workload = "spin"
options = { cpuset-cpus = "1", cpu-shares = 1024 }

[[steps]]
role = "small"
set = { cpu-shares = [512, 256] }
hold = "1800ms"
"""

# The cache of a file is as large as the limit lets it be, at once.
_MEMORY = """
[[containers]]
role = "reader"
workload = "cache"
size = "96m"
options = { memory = "88m", memory-swap = "88m" }

[[steps]]
set = { memory = ["64m", "40m"], memory-swap = ["64m", "40m"] }
hold = "1300ms"
"""

_SWAP = """
[[containers]]
role = "grower"
workload = "grow"
size = "160m"
pace = "20ms"
options = { memory-swap = "200m", memory = "24m" }

[[steps]]
set = { memory-swap = "64m" }
hold = "5s"
may_end = true

[[steps]]
set = { memory-swap = "200m", memory = "24m" }
hold = "50ms"
via = "run"
prepares = true

[[steps]]
set = { memory-swap = "96m" }
hold = "5s"
may_end = true
"""

_RESERVATION = """
group = "128m"

[[containers]]
role = "reserved"
workload = "cache"
size = "112m"
group = true
options = { memory-reservation = "16m" }

[[containers]]
role = "rival"
workload = "cache"
size = "112m"
group = true

[[steps]]
role = "reserved"
set = { memory-reservation = ["80m", "100m"] }
hold = "2500ms"
"""

_WEIGHT = """
requires = ["bfq"]
device = "512m"
scheduler = "bfq"
scheduler_attributes.low_latency = 0
scheduler_attributes.strict_guarantees = 1
scheduler_attributes.max_budget = 2048
scheduler_attributes.timeout_sync = 1000

[[containers]]
role = "heavy"
workload = "fio-randread"
options = { blkio-weight = 100 }

[[containers]]
role = "light"
workload = "fio-randread"
options = { blkio-weight = 100 }

[[steps]]
role = "heavy"
set = { blkio-weight = [300, 600] }
hold = "2500ms"
"""

_TASKS = """
[[containers]]
role = "forker"
workload = "fork"
count = 60
pace = "2ms"
options = { pids-limit = 16 }

[[steps]]
set = { pids-limit = [24, 48] }
hold = "1300ms"
"""

_RESTART = """
[[containers]]
role = "fails"
workload = "end"
count = 3
pace = "1200ms"

[[steps]]
set = { restart = "on-failure:5" }
hold = "50ms"
via = "run"
prepares = true

[[steps]]
set = { restart = "no" }
hold = "2s"

[[steps]]
set = { restart = "no" }
hold = "50ms"
via = "run"
prepares = true

[[steps]]
set = { restart = "on-failure:1" }
hold = "3s"
"""

# It sleeps once it holds its few bytes.
_BYSTANDER = """
[[containers]]
role = "bystander"
workload = "grow"
size = "2m"
pace = "1ms"
"""

_ONE_NODE = "this host has one memory node: every value that it takes is the same list of nodes"
_STORED = "this daemon keeps real-time budgets for the next start: no update changes the kernel's"
_NO_FILE = "this kernel has no interface file for it any more"
_DROPPED = "this daemon drops it with a warning: it knows only kernels before bfq"


def shorts() -> Mapping[str, Short]:
    """Return all options of the registry, each as this host can try it."""
    found = [
        Short(OPTIONS["cpus"], _spin('cpus = "0.8"', 'cpus = ["0.3", "0.365"]')),
        Short(
            OPTIONS["cpu-quota"],
            _spin("cpu-quota = 80000, cpu-period = 100000", "cpu-quota = [30000, 36500, 60000]"),
        ),
        Short(
            OPTIONS["cpu-period"],
            _spin(
                "cpu-quota = 80000, cpu-period = 100000",
                "cpu-period = [50000, 20000], cpu-quota = [20000, 11000]",
            ),
            beside=("cpu-quota",),
        ),
        Short(OPTIONS["cpu-shares"], _SHARES),
        Short(
            OPTIONS["cpuset-cpus"],
            _spin('cpuset-cpus = "0-1"', 'cpuset-cpus = ["0", "0-1", "1"]', workers=2),
            holds="names",
        ),
        Short(
            OPTIONS["cpuset-mems"],
            _spin('cpuset-mems = "0"', 'cpuset-mems = "0"', hold="300ms"),
            holds="names", unable=_ONE_NODE,
        ),
        Short(
            OPTIONS["cpu-rt-period"],
            _spin("cpu-shares = 1024", "cpu-rt-period = [500000, 250000]", hold="300ms"),
            unable=_STORED,
        ),
        Short(
            OPTIONS["cpu-rt-runtime"],
            _spin("cpu-shares = 1024", "cpu-rt-runtime = [10000, 20000]", hold="300ms"),
            unable=_STORED,
        ),
        Short(OPTIONS["memory"], _MEMORY, beside=("memory-swap",)),
        # Version 1 heeds it only where the host as a whole runs short of memory.
        Short(OPTIONS["memory-reservation"], _RESERVATION, honest=Outcome.INEFFECTIVE),
        Short(OPTIONS["memory-swap"], 'requires = ["swap"]\nswap = "256m"\n' + _SWAP),
        Short(
            OPTIONS["kernel-memory"],
            _spin("cpu-shares = 1024", 'kernel-memory = ["32m", "64m"]', hold="300ms"),
            unable=_NO_FILE,
        ),
        Short(OPTIONS["blkio-weight"], _WEIGHT, honest=Outcome.DISCARDED, unable=_DROPPED),
        Short(OPTIONS["pids-limit"], _TASKS),
        Short(OPTIONS["restart"], _RESTART, holds="a policy"),
    ]  # fmt: skip
    return {one.name: one for one in found}
