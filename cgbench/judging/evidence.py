"""What one run shows about one option: its phases and figures, by value."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from cgbench.judging.bands import Bands
from cgbench.judging.enforced import Neighbours
from cgbench.judging.excuse import excuse
from cgbench.judging.rows import situations
from cgbench.judging.run import Run
from cgbench.judging.summary import Entry, Estimate, summary
from cgbench.judging.value import Shown, Tried
from cgbench.records.confines import cpu_list
from cgbench.records.run import PointKey, Row
from cgbench.records.trial import Phase, TrialRecord
from cgbench.records.verdict import Declared, Enforced, Point, TimeToEffect
from cgbench.spec import options as registry
from cgbench.spec.conversions import conversion
from cgbench.spec.emulated import EMULATED_TIMES
from cgbench.spec.fields import Via
from cgbench.spec.judged import besides as judged_besides
from cgbench.spec.judged import candidates, judged_metric
from cgbench.spec.option import CPU_WEIGHT
from cgbench.spec.schedule import steps
from cgbench.units import NS_PER_S

# What Docker and runc say of an update of a container that has ended.
_ENDED = "not running"
_NOTED_WITHIN_NS = NS_PER_S
# The limit itself may have killed it.
_KILLED = 128 + signal.SIGKILL


@dataclass(frozen=True)
class Evidence:
    """One option in one run: its phases by way of setting, its figures, its judged metric.

    Only `updates` are judged: results of `docker run` are compared with them separately. Where no
    update can set the option, they are all of its changes.
    `control_arm` are values written past Docker. `rows` are those of the containers whose own
    option was changed in the phase: a neighbour may have been given the same value at another time.
    `beside` are the neighbours of each phase, by its identity: one may be equal to another. The
    identities of those whose update came after the container's end are `missed`.
    """

    run: Run
    option: str
    updates: Sequence[Phase]
    control_arm: Sequence[Phase]
    rows: Sequence[Row]
    entries: Mapping[tuple[PointKey, str], Entry]
    metric: str | None
    beside: Mapping[int, Neighbours]
    missed: frozenset[int] = frozenset()

    @property
    def ways(self) -> tuple[Via, ...]:
        """The ways of setting the option that are judged."""
        return registry.option(self.option).judged_ways

    @property
    def accepted(self) -> list[Phase]:
        """The phases that began with a change that was accepted."""
        return [phase for phase in self.updates if phase.change.error is None]

    def points(self) -> tuple[Point, ...]:
        """Return one point per value of each container: the metric's median over trials."""
        updated = {phase.point() for phase in self.accepted}
        return tuple(
            point(key, metric, entry.estimate)
            for (key, metric), entry in self.entries.items()
            if metric == self.metric and key in updated
        )

    @property
    def births(self) -> bool:
        """Whether containers were started with values of the option that are not judged."""
        return "run" not in self.ways and any(
            step.option == self.option and step.via == "run" and not step.prepares
            for step in steps(self.run.record.experiment, self.run.record.host.cpus)
        )

    def tried(self) -> list[Tried]:
        """Return every value of the schedule on its container, measured or not."""
        record = self.run.record
        planned = [
            PointKey(step.role, step.option, step.via, step.requested, step.note)
            for step in steps(record.experiment, record.host.cpus)
            if step.option == self.option and step.via in self.ways and not step.prepares
        ]
        phases: dict[PointKey, list[Phase]] = {key: [] for key in planned}
        for phase in self.updates:
            phases.setdefault(phase.point(), []).append(phase)
        rows: dict[tuple[PointKey, str], list[Row]] = {}
        for row in self.rows:
            rows.setdefault((row.key, row.metric), []).append(row)
        return [self._tried(key, phases[key], rows) for key in phases]

    def _tried(
        self,
        key: PointKey,
        phases: Sequence[Phase],
        by_metric: Mapping[tuple[PointKey, str], Sequence[Row]],
    ) -> Tried:
        missed = [one for one in phases if id(one) in self.missed]
        phases = [one for one in phases if id(one) not in self.missed]
        rows = [] if self.metric is None else by_metric.get((key, self.metric), [])
        entry = None if self.metric is None else self.entries.get((key, self.metric))
        felt = None if entry is None else entry.estimate
        besides = [
            Shown(
                metric,
                found.estimate,
                max(row.value for row in by_metric[key, metric]),
                excuse(self.run, by_metric[key, metric], found.estimate),
                _isolated(phases),
            )
            for metric in judged_besides(self.run.record.experiment, self.option)
            if (found := self.entries.get((key, metric))) is not None
        ]
        return Tried(
            key=key,
            phases=phases,
            metric=self.metric,
            felt=felt,
            awaited=felt is None and bool(phases) and self._awaited(key),
            excuse=None if felt is None else excuse(self.run, rows, felt),
            besides=tuple(besides),
            above=None if felt is None else self._above(key, felt),
            most=max((row.value for row in rows), default=None),
            beside=tuple(self.beside.get(id(one), Neighbours()) for one in phases),
            missed=(
                f"the container had ended when {missed[0].label} came: {missed[0].change.error}"
                if missed
                else None
            ),
        )

    def _above(self, key: PointKey, felt: Estimate) -> str | None:
        """Say which group above a container allowed less than is expected in every phase.

        Where a phase keeps nothing of that, it was as when its trial began.
        """
        if felt.expected is None or self.metric is None:
            return None
        wanted = felt.expected - (0.0 if felt.tolerance is None else felt.tolerance.below)
        said = []
        for trial in self.run.finished:
            begun = next((one.confines for one in trial.containers if one.role == key.role), None)
            for phase in trial.phases:
                confines = phase.confines or begun
                if phase.change.error is None and not phase.prepares and phase.point() == key:
                    said.append(None if confines is None else confines.above(self.metric, wanted))
        return said[-1] if said and None not in said else None

    def _awaited(self, key: PointKey) -> bool:
        """Say whether a workload should have shown this value."""
        record = self.run.record
        names = candidates(record.experiment, self.option)
        needs = () if record.experiment.verify is None else record.experiment.verify.needs
        if not all(record.preconditions.get(str(one), True) for one in needs):
            # The host lacks what it takes.
            return False
        return any(
            situation.expected(name, key.role) is not None
            # There is no share without a rival.
            and (name != "cpu_share_pct" or len(situation.rivals(key.role)) > 1)
            for trial in self.run.finished
            for phase, situation in situations(record, trial)
            if phase.point() == key
            for name in names
        )

    def declared(self) -> Declared:
        """Return what Docker answered."""
        changes = [phase.change for phase in self.updates]
        return Declared(
            accepted=len(self.accepted),
            refused=tuple(dict.fromkeys(one.error for one in changes if one.error is not None)),
            warnings=tuple(dict.fromkeys(text for one in changes for text in one.warnings)),
        )

    def enforced(self) -> dict[str, Enforced]:
        """Return every interface file around the last accepted change."""
        return {
            name: found for phase in self.accepted for name, found in files_around(phase).items()
        }

    def conversion(self) -> str | None:
        """Say how shares became weights, if they did: a formula that rounds alters ratios."""
        found = {
            conversion(int(phase.settings[self.option]), file.after)
            for phase in self.accepted
            for file in phase.change.files
            if file.file == CPU_WEIGHT and self.option in phase.settings
        }
        return next(iter(sorted(one for one in found if one is not None)), None)

    def control(self) -> str | None:
        """Say what the kernel and the workload did with the last value written past Docker."""
        if not self.control_arm:
            return None
        phase = self.control_arm[-1]
        if phase.change.error is not None:
            return f"written past Docker: {phase.change.error}"
        if not phase.change.files:
            return None
        file = phase.change.files[0]
        what = f"written past Docker: {file.file} got {file.expected}"
        if file.after != file.expected:
            return f"{what}, and the kernel held {file.after}"
        felt = None if self.metric is None else self.entries.get((phase.point(), self.metric))
        if felt is None or felt.estimate.expected is None:
            return f"{what}, and the kernel kept it"
        one = felt.estimate
        return (
            f"{what}, the kernel kept it, and {felt.metric} was {one.median:.4g} {one.unit} "
            f"of {one.expected:.4g}"
        )

    def time_to_effect(self) -> TimeToEffect:
        """Return the medians over all changes, in milliseconds."""
        enforced = self._median("file_ms")
        return TimeToEffect(
            answer=self._median("answer_ms"),
            enforced=enforced,
            # Without a reading of the new value no workload can have shown its effect.
            experienced=None if enforced is None else self._median("settle_ms", seen=True),
            answered_first=sum(bool(phase.change.late) for phase in self.accepted),
        )

    def _median(self, metric: str, *, seen: bool = False) -> float | None:
        """Return the median of a metric; of those `seen` no change counts that never showed."""
        values = [
            row.value for row in self.rows if row.metric == metric and (row.value or not seen)
        ]
        return median(values) if values else None


def files_around(phase: Phase) -> dict[str, Enforced]:
    """Return the interface files around a change.

    Where the answer came first, `after` is what a file held once it changed.
    """
    return {
        file.file: Enforced(
            before=file.before,
            after=file.expected if file in phase.change.late else file.after,
            expected=file.expected,
            path=file.path,
        )
        for file in phase.change.files
    }


def gather(run: Run, option: str) -> Evidence:
    """Return what a run shows about an option of its experiment."""
    ways = registry.option(option).judged_ways
    phases = [
        phase
        for trial in run.finished
        for phase in trial.phases
        if phase.option == option and not phase.prepares
    ]
    changed = {
        (trial.number, phase.number): phase.role for trial in run.finished for phase in trial.phases
    }
    rows = [
        row
        for row in run.every_row
        if row.option == option and changed.get((row.trial, row.phase)) == row.role
    ]
    estimates = summary(rows, Bands(run.record, run.finished))
    entries = {(one.key, one.metric): one for one in estimates}
    metric = judged_metric(run.record.experiment, option, {name for _key, name in entries})
    return Evidence(
        run=run,
        option=option,
        updates=[phase for phase in phases if phase.change.via in ways],
        control_arm=[
            phase for phase in phases if phase.change.via == "cgroupfs" and "cgroupfs" not in ways
        ],
        rows=rows,
        entries=entries,
        metric=metric,
        beside=dict(_neighbours(run)),
        missed=frozenset(
            id(phase) for trial in run.finished for phase in trial.phases
            if _missed(phase, trial, EMULATED_TIMES if run.record.host.emulated else 1)
        ),
    )  # fmt: skip


def _missed(phase: Phase, trial: TrialRecord, slower: int) -> bool:
    """Say whether an update was refused since the container had ended by itself by then.

    Docker notes an end when it hears of it, on an emulated CPU `slower` times as late.
    """
    change = phase.change
    if change.error is None or _ENDED not in change.error.lower():
        return False
    own = [one for one in trial.events if one.role == phase.role]
    begun = max(
        (one.t_ns for one in own if one.action == "start" and one.t_ns <= change.t_request_ns),
        default=0,
    )
    until = change.t_answer_ns + slower * _NOTED_WITHIN_NS
    return any(
        one.action == "die" and one.exit_code != _KILLED and begun <= one.t_ns <= until
        for one in own
    )


def _neighbours(run: Run) -> Iterator[tuple[int, Neighbours]]:
    """Yield the phases before and after each on the same container, by the identity of each."""
    for trial in run.finished:
        for role in {phase.role for phase in trial.phases}:
            own = [None, *(one for one in trial.phases if one.role == role), None]
            for before, phase, after in zip(own, own[1:], own[2:], strict=False):
                if phase is not None:
                    yield id(phase), Neighbours(before, after)


def _isolated(phases: Sequence[Phase]) -> str | None:
    """Say which CPUs of a set were isolated, None if none were, or it is not known."""
    found = (
        phase.confines.isolates(cpu_list(str(phase.settings.get("cpuset-cpus") or "")) or ())
        for phase in phases
        if phase.confines is not None
    )
    return next((one for one in found if one is not None), None)


def point(key: PointKey, metric: str, one: Estimate) -> Point:
    """Return an estimate as a verdict shows it."""
    return Point(
        requested=key.requested,
        note=key.note,
        role=key.role,
        metric=metric,
        unit=one.unit,
        expected=one.expected,
        value=one.median,
        error_pct=one.error_pct,
        tolerance=None if one.tolerance is None else one.tolerance.below,
        tolerance_above=None if one.tolerance is None else one.tolerance.above,
        within=one.within,
    )
