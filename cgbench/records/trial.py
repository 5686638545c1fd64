"""What one trial leaves behind: its phases, changes, containers and accounts.

Times called `*_ns` are CLOCK_MONOTONIC nanoseconds of the host, which its containers share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from cgbench.records import first_format
from cgbench.records.account import Account
from cgbench.records.confines import Confines
from cgbench.records.file_history import Count, FileHistory
from cgbench.records.other_limits import Inspected, Unasked
from cgbench.records.run import PointKey
from cgbench.spec.fields import Foreign, Label, MetricName, Moves, Name, Via
from cgbench.spec.model import Model
from cgbench.spec.option import Value
from cgbench.spec.schedule import labelled

Number = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A whole number as a kernel or a probe may state one."""

Column = Annotated[str, Field(max_length=200)]
"""The name of a column of the samples, with `*` for what differs between devices or CPUs."""


class Source(Model):
    """Where a quantity stands in the samples: column, and the factor to its SI unit."""

    column: Column
    scale: Annotated[int, Field(ge=1, le=10**12)]


class FileChange(Model):
    """One interface file around a change: its text before, right after the answer, as it should be.

    `held` is its text when the phase ended. `t_changed_ns` is when the first reading that shows
    `expected` began, or another new text if that never stood; None if it never differed. `history`
    is what the sampler saw from the request to the end, None where the file was not sampled, or by
    an older cgbench. `path` is where it was while the container ran, for `cat`; None in an older
    run.
    """

    file: Label
    before: Foreign | None
    after: Foreign | None
    expected: Foreign | None
    held: Foreign | None = None
    t_changed_ns: Count | None = None
    history: FileHistory | None = None
    path: Foreign | None = None


class Change(Model):
    """The moment between two phases: asked, answered, and what the files said.

    `note` distinguishes it from other changes to the same value. `inspected` is what Docker
    declares of each option; none in runs of an older cgbench.
    """

    requested: Foreign
    note: Foreign | None = None
    settings: Mapping[Name, Value]
    via: Via
    t_request_ns: Count
    t_answer_ns: Count
    warnings: tuple[Foreign, ...] = ()
    error: Foreign | None = None
    files: tuple[FileChange, ...] = ()
    inspected: tuple[Inspected, ...] = ()

    @property
    def late(self) -> tuple[FileChange, ...]:
        """The files that took hold only after the answer, which said too early that all is done."""
        return tuple(
            file
            for file in self.files
            if file.history is not None
            and file.expected is not None
            and file.after != file.expected
            and file.expected in file.history.texts
            and (file.t_changed_ns or 0) > self.t_answer_ns
        )

    @property
    def in_force_ns(self) -> int:
        """When it was answered and all of its files had taken hold that ever did."""
        return max([self.t_answer_ns, *(file.t_changed_ns or 0 for file in self.late)])

    @model_validator(mode="before")
    @classmethod
    def _of_the_first_format(cls, document: Any) -> Any:
        settings = document.get("settings") if isinstance(document, dict) else None
        values = settings.values() if isinstance(settings, Mapping) else ()
        return first_format.with_note(document, values)


class Ending(Model):
    """How a container ended: what `docker inspect` says, None where it was removed already."""

    role: Name
    t_ns: Count
    exit_code: Number | None
    oom_killed: bool | None
    reason: Foreign


AwaitedState = Literal["came", "coming", "standing"]
"""Whether what is judged came: not yet, or it stands still where it should not."""


class Awaited(Model):
    """What a phase was held on for, by how long after its time, and whether that had come then."""

    metric: MetricName
    state: AwaitedState
    held_on_ns: Count


def together(texts: Iterable[str | None]) -> str | None:
    """Return what several interface files say as one text, None if there are none."""
    return " ".join(dict.fromkeys(text for text in texts if text is not None)) or None


class Phase(Model):
    """A stretch under constant limits, from the answer to `change` until `t_end_ns`.

    `settings` are all options declared on the container of role `role` by then. `ending` describes
    a container that was allowed to end and did; `rewrites` is how often the change was made again.
    `awaited` is None where nothing that is judged comes in time, and in runs of an older cgbench.
    A phase that `prepares` the next is not judged. For `settle_ns` no steady figure counts.
    `confines` are those at its end, if it set
    which CPUs may be used or they are not those of the trial's beginning. `unasked` are other
    limits that changed in it. `elsewhere` has the text of the option's interface files of each
    other container at its end; none in an older run, and where containers are meant to end.
    `account` says where the host's CPU time went from shortly after the answer to the end; None in
    an older run, and where it is not known.
    """

    number: Count
    role: Name
    option: Name
    change: Change
    settings: Mapping[Name, Value]
    t_end_ns: Count
    ending: Ending | None = None
    rewrites: Count = 0
    prepares: bool = False
    settle_ns: Count = 0
    awaited: Awaited | None = None
    confines: Confines | None = None
    unasked: tuple[Unasked, ...] = ()
    elsewhere: Mapping[Name, Foreign] = Field(default_factory=dict)
    account: Account | None = None

    @property
    def requested(self) -> str:
        """The value asked for."""
        return self.change.requested

    @property
    def label(self) -> str:
        """The value asked for, with its note."""
        return labelled(self.change.requested, self.change.note)

    def point(self, role: str | None = None) -> PointKey:
        """Return the key of the point at which a container is, by default the changed one."""
        change = self.change
        return PointKey(role or self.role, self.option, change.via, change.requested, change.note)

    @property
    def effective(self) -> str | None:
        """The text of the option's interface files after the change, None if there are none."""
        late = self.change.late
        return together(one.expected if one in late else one.after for one in self.change.files)

    def effective_of(self, role: str) -> str | None:
        """Return the same of any container, None where it is not known."""
        return self.effective if role == self.role else self.elsewhere.get(role)


class ContainerRecord(Model):
    """One container of a trial: `sources` maps quantities to columns of the samples.

    `moves` is what it only does with its device, in requests of `block` bytes, `depth` of them at
    once. A prober's requests were due every `pace_ns` and failed after `timeout_ns`, None for all
    others. `docker_stats_broke` says why messages of `docker stats` are missing at its end, None
    where none are. `confines` are those when the trial began, None in runs of an older cgbench.
    `warm_bytes` is how much of its image's files stayed in the page cache when it started, which it
    is not charged for: None where that was not looked at, as it is under a limit of memory.
    """

    role: Name
    container_id: Label
    workload: Name
    workers: Count
    probe: Label | None = None
    moves: Moves | None = None
    block: Count | None = None
    depth: Count = 1
    pace_ns: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    timeout_ns: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    sources: Mapping[MetricName, Source]
    docker_stats_broke: Foreign | None = None
    confines: Confines | None = None
    warm_bytes: Count | None = None


class SamplerFigures(Model):
    """What sampling cost and how exact it was; lateness in µs after the deadline."""

    requested_hz: float
    achieved_hz: float
    ticks: Count
    missed: Count
    late_p50_us: float
    late_p99_us: float
    late_max_us: float
    reading_p50_us: float
    cpu_pct: float
    scheduling: Label
    files: Count

    @property
    def missed_pct(self) -> float:
        """Missed deadlines, in percent of all."""
        return 100 * self.missed / max(1, self.ticks + self.missed)


class Event(Model):
    """Something Docker said of a container: it began (`start`), ended (`die`), or met `oom`."""

    role: Name
    t_ns: Count
    action: Label
    exit_code: Number | None


class ProbeFigures(Model):
    """What one worker of a probe saw in all; `longest_unit_us` bounds a stall's excess length.

    `starts` counts the lives of its container. Of the others, those that its kind of probe does
    not have are None: bytes held at the end and at most, children alive at the end, attempts to
    fork that the kernel refused with the error `last_refusal`, deadlines that passed unused. A
    prober's stalls are its requests: how many `failed`, the last one for which reason, and how many
    were unanswered when it stopped, which have the time until then for a latency. `late` of them
    were noticed over 1 ms after they were due and none more than `longest_unit_us`: that is the
    prober's fault and no service's.
    """

    role: Name
    worker: Count
    stalls: Count
    stalls_lost: Count
    longest_unit_us: float
    starts: Count = 1
    bytes_held: Number | None = None
    bytes_held_most: Number | None = None
    children: Number | None = None
    refusals: Number | None = None
    last_refusal: Label | None = None
    deadlines_skipped: Number | None = None
    failed: Count | None = None
    last_failure: Label | None = None
    unanswered: Count | None = None
    late: Count | None = None


class Reported(Model):
    """One figure that a program or its load printed: its time, and what it says it is."""

    role: Name
    t_ns: Count
    metric: MetricName
    value: float


class Harness(Model):
    """What else cgbench and the host's other tenants used during a trial, in CPU-seconds.

    The others' is what is left, None where that of the daemon or of a container is not known.

    Also the state of the CPUs, None where the kernel or an older cgbench does not report it:
    `mhz` at the trial's end, how often heat slowed a core in it, and for how many seconds some
    task waited for a CPU (a throttled one among them).
    """

    cgbench_cpu_s: float
    daemon_cpu_s: float | None
    steal_cpu_s: float
    other_cpu_s: float | None
    elapsed_s: Annotated[float, Field(gt=0)]
    mhz: float | None = None
    thermal_throttles: Count | None = None
    waited_s: float | None = None


class TrialRecord(Model):
    """One finished trial: a line of trials.jsonl."""

    number: Count
    repetition: Count
    walk: Count
    status: Literal["ok", "failed"]
    reason: Foreign | None = None
    started: Label
    t_begin_ns: Count
    t_end_ns: Count
    hold_ns: Count
    containers: tuple[ContainerRecord, ...] = ()
    phases: tuple[Phase, ...] = ()
    sampler: SamplerFigures | None = None
    probes: tuple[ProbeFigures, ...] = ()
    events: tuple[Event, ...] = ()
    harness: Harness | None = None
    reports: tuple[Reported, ...] = ()
    n_samples: Count = 0
