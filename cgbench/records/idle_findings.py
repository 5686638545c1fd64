"""What idle containers show about an option: its bounds, its survival, its dealings with others.

Texts are as the kernel's interface files and `docker inspect` gave them; nothing is converted.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from cgbench.spec.fields import Foreign, Label, MetricName, Name
from cgbench.spec.model import Model

Outcome = Literal["accepted", "warned", "rejected"]
"""The daemon's answer: `warned` is accepted with at least one warning."""

How = Literal["update", "run"]
"""Whether a running container was changed, or a container was started with the value."""


class Difference(Model):
    """One place where two readings differ: a file of the kernel, or a field of `docker inspect`.

    `before` and `after` are None where there was nothing to read.
    """

    layer: Literal["declared", "enforced"]
    where: Foreign
    before: Foreign | None
    after: Foreign | None


class Held(Model):
    """One option's value at one moment: as Docker declares it and as the kernel enforces it.

    `declared` is the field of HostConfig as JSON. `enforced` is the text of the interface file,
    None where this kernel has none or the container does not run.
    """

    declared: Foreign | None
    enforced: Foreign | None


class Kind(StrEnum):
    """Why a value is tried."""

    SMALLEST = "smallest"
    BELOW = "just below"
    LARGEST = "largest"
    ABOVE = "just above"
    CHOICE = "choice"
    ABSENT = "not on this host"
    MALFORMED = "malformed"
    ALONE = "alone"
    ZERO = "0"
    MINUS_ONE = "-1"
    EMPTY = "empty"


class Attempt(Model):
    """One value tried on one container.

    `tried` is the value as typed, `sent` the request's JSON, `documented` whether the value is one
    that the documents allow, `message` the daemon's words: its refusal or its warnings. `before`
    and `after` are the option's interface file `file`; a container started with the value is
    compared with one started without any. `changes` are all differences, in any file of the
    container and any field of its HostConfig; `changed` says that there are some, which after a
    refusal should not be. `running` says whether there is a running container afterwards. `lifted`
    says whether the limit that was set before is gone: None where none was set, or none took hold.
    """

    option: Name
    kind: Kind
    tried: Foreign
    sent: Foreign
    how: How
    documented: bool
    outcome: Outcome
    message: Foreign
    file: Foreign | None
    before: Foreign | None
    after: Foreign | None
    changes: tuple[Difference, ...]
    changed: bool
    running: bool
    lifted: bool | None


class Lifting(Model):
    """A limit, and an update that should lift it: of the same option or another, or out of reach.

    `limit` and `by` are options as typed, `sent` is the second request's JSON. `file` is where the
    kernel keeps the limit: `before` is its text under the limit, `after` at last, `asked` what the
    update asks for. `declared` are the fields of HostConfig afterwards that limit the same thing,
    and `declares` the texts of the file that they stand for. `lifted` says that the file holds what
    was asked for; None where the limit had not taken hold. `right` says that Docker's answer and
    all that it declares are what the kernel holds.
    """

    option: Name
    limit: Foreign
    by: Foreign
    sent: Foreign
    outcome: Outcome
    message: Foreign
    file: Foreign | None
    before: Foreign | None
    after: Foreign | None
    asked: Foreign | None
    declared: Foreign
    declares: tuple[Foreign, ...]
    lifted: bool | None
    right: bool | None

    @property
    def fails(self) -> bool:
        """Whether Docker answered that it lifted a limit which is still there."""
        return self.outcome != "rejected" and self.lifted is False


StageName = Literal[
    "another update", "another container", "pause", "restart",
    "daemon reload", "another container after a reload", "daemon restart",
]  # fmt: skip
"""What a container may live through: an update of an option that has nothing to do with it,
another container started and stopped, and so on."""


class Stage(Model):
    """One thing that a container lived through, and its option before and after.

    `survived` is None where the value had not taken hold before, so that there was nothing to
    survive; `took_hold` says that it did so only now. `running` is False where the container did
    not come back; `message` is what the daemon said then. `changes` are all that changed in the
    fields and files of what was set, none in a table of an older cgbench.
    """

    stage: StageName
    before: Held
    after: Held
    survived: bool | None
    took_hold: bool
    running: bool
    message: Foreign
    changes: tuple[Difference, ...] = ()


class Survival(Model):
    """Whether an option's value, set by an update, outlives what a container may live through.

    `beside` are other options that were set with it. `born` is how the container was before the
    update. `refusal` is the daemon's word where the value could not be set at all; there are no
    stages then.
    """

    option: Name
    value: Foreign
    beside: Foreign = ""
    file: Foreign | None
    born: Held
    refusal: Foreign | None
    stages: tuple[Stage, ...]


State = Literal["created", "running", "paused", "restarting", "stopping", "exited"]
"""What a container may be like when an update reaches it.

`restarting` waits for Docker to start it again, `stopping` has been sent SIGTERM and has not ended.
"""


class When(StrEnum):
    """When a value came to be in the kernel's files."""

    NOW = "now"
    UNPAUSE = "at unpause"
    RESTART = "at the restart"
    START = "at the next start"
    NEVER = "never"


class Step(Model):
    """What a container went through after an update, and the option then.

    `message` is what the daemon said; `running` is False where the container does not run.
    """

    step: Literal["start", "unpause", "restart"]
    held: Held
    running: bool
    message: Foreign


class StateFinding(Model):
    """One update of a container in one state: what was answered, declared, and when in force.

    `sent` is the option's field of the request as JSON. `missed` says why the container was not in
    that state when the update came, or no longer when it was answered: nothing else is known then,
    and `outcome` is None. `before` and `after` are the option around the answer. `expected` is the
    text that its interface file `file` should have. `in_force` is None where no file shows the
    value, such as where the file said the same before; `undone` says that a value in force was so
    no longer after a later step.
    """

    option: Name
    state: State
    value: Foreign
    sent: Foreign
    missed: Foreign | None = None
    outcome: Outcome | None = None
    message: Foreign = ""
    file: Foreign | None = None
    expected: Foreign | None = None
    before: Held | None = None
    after: Held | None = None
    steps: tuple[Step, ...] = ()
    in_force: When | None = None
    undone: bool = False

    @property
    def last(self) -> Held | None:
        """The option as it was read last."""
        return self.steps[-1].held if self.steps else self.after

    @property
    def hollow(self) -> bool:
        """Whether Docker accepted and still declares the value, and the kernel has another one."""
        return (
            self.outcome in ("accepted", "warned")
            and self.last is not None
            and self.last.declared == self.sent
            and (self.undone or self.in_force is When.NEVER)
        )

    @property
    def yet_changed(self) -> bool:
        """Whether Docker refused the value, and declares or enforces it all the same."""
        declared = self.after is not None and self.after.declared == self.sent
        enforced = self.in_force not in (None, When.NEVER)
        return self.outcome == "rejected" and (declared or enforced)


class Meeting(StrEnum):
    """What became of A's value when B was set after it."""

    INDEPENDENT = "independent"
    """B was accepted, or ignored, and A's value is in force as before."""

    REFUSED = "refused"
    """The daemon refuses B because of A: on a container without A it accepts it."""

    DISTURBED = "disturbed"
    """A's declared value is no longer what is declared or enforced."""

    A_FAILED = "a failed"
    """A was refused, or left no trace: there was nothing to disturb."""

    B_FAILED = "b failed"
    """The daemon refuses B, and does so without A as well."""


class Felt(StrEnum):
    """What became of A's effect on a workload when B was set after it."""

    KEPT = "kept"
    """The workload shows what it showed before."""

    FOLLOWED = "followed"
    """What both ask for together is something else, and the workload shows that."""

    DISTURBED = "disturbed"
    """The workload shows neither: seen twice, and no disturbance of the host explains it."""

    INCONCLUSIVE = "inconclusive"
    """The effect did not show before, or the host was disturbed."""

    NOT_SHOWN = "not shown"
    """With B in force nothing is known that the workload should show."""


class Effect(Model):
    """A's effect around an update of B, by the metric and within the band that A is judged by.

    `before` and `after` are medians of the steady windows, `during` is the figure from the request
    to the later window. `expected` is what both options ask for together, `expected_before` what A
    asks for. `evidence` is the run it was measured in, None for a container that only slept.
    """

    felt: Felt
    reason: Foreign
    metric: MetricName
    unit: Label
    before: float | None = None
    during: float | None = None
    after: float | None = None
    expected_before: float | None = None
    expected: float | None = None
    tolerance: float | None = None
    tolerance_above: float | None = None
    evidence: Foreign | None = None


class Interaction(Model):
    """An ordered pair of options: `a` was set to `a_value`, then `b` to `b_value`.

    `message` holds the daemon's words on whichever update matters for the outcome. `a_changes` are
    the differences since A was set in what is A's: its field of HostConfig, its interface files,
    and whatever else setting A had changed. A difference there is no disturbance as long as A's
    value is still in force: on v2 `cpu.max` holds quota and period, and either may change alone.
    `b_changes` are all other differences that B made. `undone` says what the kernel holds in place
    of A's value where Docker still declares that. `effect` is what a workload felt, None where
    none was watched.
    """

    a: Name
    b: Name
    a_value: Foreign
    b_value: Foreign
    outcome: Meeting
    message: Foreign
    a_changes: tuple[Difference, ...]
    b_changes: tuple[Difference, ...]
    undone: Foreign | None = None
    effect: Effect | None = None


class BornVsChanged(Model):
    """A container born with a value against one that was updated to it.

    `start` says what the updated one was born with: nothing, or another value of the option.
    `beside` are other options that were set with the value on both. A refusal is None where there
    was none. `differences` go from the born one to the changed one; `same` says that there are
    none, and is None where only one of the two, or none, came about.
    """

    option: Name
    value: Foreign
    start: Literal["nothing", "another value"]
    beside: Foreign
    born_refusal: Foreign | None
    changed_refusal: Foreign | None
    differences: tuple[Difference, ...]
    same: bool | None
