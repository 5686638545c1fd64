"""Every exception cgbench raises on purpose.

    CgbenchError               exit 2
    ├── UnitError              a size, duration or CPU count that cannot be read
    ├── OptionError            an unknown option, or a value outside its domain
    ├── ExperimentError        an experiment file that cannot be used
    ├── WorkloadError          a workload file that cannot be used
    ├── CgroupError            a cgroup or interface file that is not there
    ├── EngineError            Docker refused, or answered something unexpected
    │   ├── DockerUnavailable  no daemon answers, it is too old, or it is remote
    │   ├── NoAnswer           a request was not answered: the daemon stopped, hangs or restarts
    │   ├── ImageError         an image is missing or cannot be built
    │   └── UpdateRejected     `docker update` was refused
    ├── SamplerError           the sampler process did not start, hung or died
    ├── ProbeError             the probe's shared file is missing or malformed
    │   └── ProbeSilent        a worker of the probe never began
    ├── TrialError             a trial failed: a container died, was killed or vanished
    ├── StoreError             results cannot be read or written
    ├── BaselineError          a baseline that is damaged or unfit to compare with
    │   └── NoBaseline         exit 3: there is none to compare with yet
    ├── HistoryError           the runs there are make no trend
    ├── FleetError             a file of hosts that cannot be used, or a fleet that cannot be had
    ├── ScratchError           a scratch device, swap or cgroup cannot be made or given back
    │   └── NotGivenBack       of several, some could not be given back
    └── PreconditionError      exit 4: nothing was measured, since the host lacks something

Every message is one line that names the file, key or option; `advice` is the next move, another
line, below which the last lines of a log may stand indented. What they quote may hold anything:
both show line ends as blanks, other control characters as escapes, and of a very long text only
the two ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cgbench.foreign import one_line

_LONGEST = 1000


class CgbenchError(Exception):
    """Anything cgbench reports to its user instead of a traceback."""

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, advice: str | None = None) -> None:
        super().__init__(message)
        self.message = one_line(message, _LONGEST)
        self.advice = None if advice is None else _indented(advice)

    def __str__(self) -> str:
        return self.message if self.advice is None else f"{self.message}\n{self.advice}"


def _indented(advice: str) -> str:
    """Return advice on one line, but for lines of its own that are quoted below it, indented."""
    return "\n  ".join(one_line(part, _LONGEST) for part in advice.split("\n  "))


class UnitError(CgbenchError):
    """A size, duration or CPU count that cannot be read."""


class OptionError(CgbenchError):
    """An unknown `docker update` option, or a value outside its domain."""


class ExperimentError(CgbenchError):
    """An experiment file that is missing, malformed or impossible on this host."""


class WorkloadError(CgbenchError):
    """A workload file that is missing or malformed."""


class CgroupError(CgbenchError):
    """A cgroup or an interface file that is not where it should be."""


class EngineError(CgbenchError):
    """Docker refused a request or answered something unexpected."""


class DockerUnavailable(EngineError):
    """No Docker daemon answers, or the one that does cannot be used."""


class NoAnswer(EngineError):
    """The daemon did not answer a request: it stopped, hangs or restarts."""


class ImageError(EngineError):
    """An image is missing or cannot be built."""


class UpdateRejected(EngineError):
    """Docker refused a `docker update`."""


class SamplerError(CgbenchError):
    """The sampler process did not start, did not answer in time, or died."""


class ProbeError(CgbenchError):
    """The probe's shared file is missing or malformed, or was damaged by its container."""


class ProbeSilent(ProbeError):
    """A worker of the probe never began to work."""


class TrialError(CgbenchError):
    """A trial failed: a container died, was killed or was removed from outside."""


class StoreError(CgbenchError):
    """Results that cannot be found, read or written."""


class BaselineError(CgbenchError):
    """A baseline or candidate that cannot be read or compared."""


class NoBaseline(BaselineError):
    """There is no baseline to compare with yet."""

    exit_code: ClassVar[int] = 3


class HistoryError(CgbenchError):
    """No trend can be made: no such metric, no or too few runs, or Otava is missing."""


class FleetError(CgbenchError):
    """A file of hosts that cannot be used, or a fleet that cannot be measured."""


class ScratchError(CgbenchError):
    """A scratch device, swap or cgroup that cannot be made, or not be given back."""


@dataclass(frozen=True)
class Refusal:
    """One thing that could not be given back, and whether every measurement meets it."""

    error: CgbenchError
    is_shared: bool


class NotGivenBack(ScratchError):
    """Some things could not be given back: `refusals`, of which the message is about the first.

    `removed` describes what could.
    """

    def __init__(
        self,
        message: str,
        advice: str | None = None,
        refusals: Sequence[Refusal] = (),
        removed: Sequence[str] = (),
    ) -> None:
        super().__init__(message, advice)
        self.refusals, self.removed = tuple(refusals), tuple(removed)


class PreconditionError(CgbenchError):
    """The host lacks something that measuring needs, so nothing was measured."""

    exit_code: ClassVar[int] = 4
