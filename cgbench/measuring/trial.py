"""One trial: start its containers, warm up, walk the schedule, sample, stop, return a record."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from cgbench.engine.engine import Engine
from cgbench.errors import (
    CgroupError,
    EngineError,
    ImageError,
    NoAnswer,
    PreconditionError,
    ProbeError,
    SamplerError,
    TrialError,
    UpdateRejected,
)
from cgbench.host import cpu_time, lock, procfs
from cgbench.host.scratch import leftovers
from cgbench.host.scratch.commands import undisturbed
from cgbench.measuring import (
    account,
    collect,
    demand,
    interference,
    launch,
    other_limits,
    outage,
    reports,
)
from cgbench.measuring.awaiting import Patience, patience_s
from cgbench.measuring.change import apply, make_change, with_declared, with_held
from cgbench.measuring.collect import Harvest
from cgbench.measuring.container import (
    Birth,
    Running,
    await_probes,
    describe,
    kill,
    release,
    targets,
)
from cgbench.measuring.hold import Lookout
from cgbench.measuring.program import Stage
from cgbench.measuring.progress import Watcher
from cgbench.measuring.sampler import Sampler
from cgbench.measuring.site import Site
from cgbench.measuring.unwinding import UndisturbedExit
from cgbench.records.confines import Confines
from cgbench.records.samples import TrialData
from cgbench.records.trial import Awaited, Change, Ending, Phase, TrialRecord
from cgbench.spec.experiment import Experiment
from cgbench.spec.options import option
from cgbench.spec.schedule import PlannedStep, TrialPlan
from cgbench.units import NS_PER_S

# Beyond the schedule: starting, warming up and slow answers on a loaded host; on an emulated one
# Docker takes seconds for each.
_DEADLINE_MARGIN_S = 30
_DEADLINE_MARGIN_PER_CHANGE_S = 3
_REFUSED_HOLD_NS = NS_PER_S
# What goes wrong in one trial and need not in the next; all else ends the run.
_FAILURES = (TrialError, ProbeError, SamplerError, CgroupError, UpdateRejected)


@dataclasses.dataclass(frozen=True)
class _Course:
    """What one trial is of, where it runs, who watches it, and what it has brought in so far."""

    plan: TrialPlan
    experiment: Experiment
    site: Site
    watcher: Watcher
    progress: Harvest
    daemons: frozenset[int] = frozenset()


def run_trial(
    plan: TrialPlan,
    experiment: Experiment,
    site: Site,
    watcher: Watcher,
    *,
    measured: bool = False,
) -> tuple[TrialRecord, TrialData]:
    """Run one trial to its end and return its record and data.

    A container that dies, is killed or removed fails the trial: the record says why, and keeps
    what was measured until then. So does one in which the daemon went away, once it is back. Errors
    that would fail every trial are raised. So is PreconditionError, unless another trial of the run
    is `measured`: then the host could run this experiment, and only this trial is refused.
    """
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    daemons = cpu_time.daemon_processes()
    before, asleep_ns = cpu_time.cpu_times(daemons), interference.asleep_ns()
    progress = Harvest(before.t_ns)
    course = _Course(
        plan, experiment, site, watcher, progress, frozenset(one.pid for one in daemons)
    )
    name = f"{lock.SCRATCH_PREFIX}{site.run}-{plan.number:04}"
    with UndisturbedExit() as stack:
        with undisturbed():
            folder = stack.enter_context(lock.scratch_folder(name, site.scratch))
        try:
            reason = _failure(course, folder)
        except PreconditionError as error:
            if not measured:
                raise
            reason = error.message
    if reason is None and progress.lost is not None:
        reason = progress.lost
    # It explains whatever else went wrong.
    if (disturbed := interference.found(progress, asleep_ns)) is not None:
        reason = disturbed if reason is None else f"{disturbed}; {reason}"
    after = cpu_time.cpu_times(daemons)
    data = collect.data(progress)
    record = TrialRecord(
        number=plan.number,
        repetition=plan.repetition,
        walk=plan.walk,
        status="ok" if reason is None else "failed",
        reason=reason,
        started=started,
        t_begin_ns=before.t_ns,
        t_end_ns=time.monotonic_ns(),
        hold_ns=plan.hold_ns,
        containers=tuple(collect.containers(progress)),
        phases=tuple(collect.with_histories(progress)),
        sampler=progress.figures,
        probes=tuple(collect.probe_figures(progress)),
        events=tuple(collect.events(progress)),
        harness=collect.harness(before, after, data, progress),
        reports=tuple(progress.reports),
        n_samples=sum(len(samples.t_ns) for samples in data.samples),
    )
    return record, data


def deadline_s(plan: TrialPlan, experiment: Experiment) -> int:
    """Return after how many seconds a trial's containers end by themselves."""
    margin_s = _DEADLINE_MARGIN_S + _DEADLINE_MARGIN_PER_CHANGE_S * len(plan.steps)
    margin_s += patience_s(experiment)
    return math.ceil((plan.hold_ns + experiment.warmup) * 1.1 / NS_PER_S) + margin_s


def _failure(course: _Course, folder: Path) -> str | None:
    """Measure, and return why the trial failed, None if it did not."""
    try:
        _measure(course, folder)
    except ImageError:
        raise
    except _FAILURES as error:
        return error.message
    except EngineError as error:
        outage.wait_out(course.site, error, begun=bool(course.progress.containers))
        return outage.first_reason(error)
    return None


def _measure(course: _Course, folder: Path) -> None:
    shown = False
    try:
        with UndisturbedExit() as stack:
            try:
                _measure_in(stack, course, folder)
            except NoAnswer as error:
                # Said before the taking down, which asks the daemon, too.
                course.watcher.waiting(error.message)
                shown = True
                raise
    except NoAnswer as error:
        if not shown:
            course.watcher.waiting(error.message)
        raise


def _measure_in(stack: ExitStack, course: _Course, folder: Path) -> None:
    plan, experiment, site = course.plan, course.experiment, course.site
    progress = course.progress
    limit_s = deadline_s(plan, experiment)
    stack.enter_context(demand.granted(demand.of(plan, experiment, limit_s), plan, site))
    birth = Birth(
        folder.name,
        site.image,
        site.run,
        limit_s,
        folder,
        programs=site.programs,
        proc=site.proc,
        root=site.root,
    )
    birth = _prepared(stack, experiment, site, birth)
    events = site.engine.events(site.run)
    stack.callback(collect.take_events, events, progress)
    running = launch.start_all(Stage(stack, plan, site.engine, birth), experiment)
    # All at once, before one is removed after the other: a hog that still runs can keep its
    # rival waiting for the disk, and a process that waits for the disk cannot die.
    stack.callback(kill, running)
    # Where a restart policy is measured, containers are meant to end, on a slow host even
    # before their sampling begins.
    ending = experiment.option == "restart"
    if not ending:
        # Podman's stream goes on with the policy that it found, and where it is the first to see
        # the end of its container, that one decides: whoever watches undoes the update.
        progress.streams = {
            container.spec.role: site.engine.stats(container.container_id) for container in running
        }
        await_probes(site.engine, running)
    progress.targets = [target for container in running for target in targets(container, plan)]
    progress.containers = [describe(container, plan) for container in running]
    sampler = Sampler(
        progress.targets, experiment.sampling, folder / "spool", birth.deadline_s,
        forgiving=ending,
    )  # fmt: skip
    stack.callback(sampler.close)
    sampler.start()
    try:
        _walk(course, running, birth.device, Patience(experiment, events))
    except BaseException:
        # A failure or Ctrl-C on its way keeps its reason; what was sampled until then is
        # worth keeping, as far as it can be had.
        with contextlib.suppress(SamplerError, ProbeError):
            collect.collect(sampler, running, progress)
        raise
    collect.collect(sampler, running, progress, forgiving=ending)
    progress.reports.extend(reports.taken(site.engine, experiment, running))


def _prepared(stack: ExitStack, experiment: Experiment, site: Site, birth: Birth) -> Birth:
    """Make the scratch device, swap and parent cgroup that the experiment asks for."""
    device, parent = None, None
    if experiment.device is not None:
        made = leftovers.block_device(experiment.device, experiment.scheduler)
        device = leftovers.set_scheduler(
            stack.enter_context(made), experiment.scheduler, experiment.scheduler_attributes
        )
    if experiment.swap is not None:
        stack.enter_context(leftovers.swap(experiment.swap))
    if experiment.group is not None:
        driver = site.engine.describe()["cgroup_driver"]
        lent = leftovers.memory_group(
            birth.name, experiment.group, driver, beside=experiment.group_options
        )
        parent = stack.enter_context(lent)
    return dataclasses.replace(birth, device=device, parent=parent)


def _walk(
    course: _Course,
    running: Sequence[Running],
    device: leftovers.BlockDevice | None,
    patience: Patience,
) -> None:
    experiment, engine, watcher = course.experiment, course.site.engine, course.watcher
    by_role = {container.spec.role: container for container in running}
    # Where a restart policy is measured, containers are meant to end.
    restarting = experiment.option == "restart"
    look = Lookout(engine, running, watcher, forgiving=restarting)
    look.hold_until(time.monotonic_ns() + experiment.warmup)
    for number, step in enumerate(course.plan.steps, 1):
        container = by_role[step.role]
        if step.scheduler is not None and device is not None:
            favour = experiment.scheduler_attributes if step.scheduler == "bfq" else {}
            leftovers.set_scheduler(device, step.scheduler, favour)
        # What ends and is started again takes its files with it and gets new ones.
        others = () if restarting else running
        before = other_limits.all_files(others)
        change = make_change(engine, container, step)
        if not step.prepares:
            release(running)
        watcher.phase_started(step, number, len(course.plan.steps))
        passed, begun = _Passed(), account.opened(running)
        try:
            passed.ending, passed.rewrites = _hold(engine, look, container, step, change)
            if passed.ending is None:
                passed.ending, passed.awaited = patience.hold_on(look, container, step, change)
        finally:
            spent = account.closed(begun, running, course.daemons)
            held = other_limits.all_files(others)
            unasked = tuple(other_limits.unasked(before, held, container, step))
            texts = dict(other_limits.of_option(held, others, step.option))
            texts.pop(step.role, None)
            phase = _phase(course, number, step, container, change, passed)
            course.progress.phases.append(
                phase.model_copy(update={"unasked": unasked, "elsewhere": texts, "account": spent})
            )
        course.progress.phases[-1] = with_declared(engine, container, course.progress.phases[-1])
        if passed.ending is not None:
            ended = passed.ending.role
            if any(later.role == ended for later in course.plan.steps[number:]):
                return
            # The others go on without it.
            running = [one for one in running if one.spec.role != ended]
    look.require_going()


@dataclasses.dataclass
class _Passed:
    """How a phase passed: how a container ended, how often it was rewritten, what was awaited."""

    ending: Ending | None = None
    rewrites: int = 0
    awaited: Awaited | None = None


def _phase(
    course: _Course, number: int, step: PlannedStep, container: Running, change: Change,
    passed: _Passed,
) -> Phase:  # fmt: skip
    """Return a phase that ends now."""
    return Phase(
        number=number,
        role=step.role,
        option=step.option,
        change=with_held(container, change),
        settings=dict(container.settings),
        t_end_ns=time.monotonic_ns(),
        ending=passed.ending,
        rewrites=passed.rewrites,
        prepares=step.prepares,
        settle_ns=step.settle_ns,
        awaited=passed.awaited,
        confines=_confines(course, container, step),
    )


def _confines(course: _Course, container: Running, step: PlannedStep) -> Confines | None:
    """Return what confines a container at the end of a phase, if that is worth its place.

    It is where the phase says which CPUs may be used, or something is not as at the beginning.
    """
    moves = any(option(name).controller == "cpuset" for name in step.settings)
    if procfs.held(container.pidfd) is None:
        return None
    now = container.confines()
    begun = next(
        (one.confines for one in course.progress.containers if one.role == step.role), None
    )
    return None if not moves and (begun is None or now.alike(begun)) else now


def _hold(
    engine: Engine, look: Lookout, container: Running, step: PlannedStep, change: Change
) -> tuple[Ending | None, int]:
    """Hold a phase, making its change again and again if it says so; return its ending if any."""
    until_ns = change.t_answer_ns + step.hold_ns
    if change.error is not None:
        # What is refused and applied all the same may come after the answer.
        until_ns = min(until_ns, change.t_answer_ns + _REFUSED_HOLD_NS)
        return look.hold_until(until_ns, may_end=step.may_end), 0
    rewrites, due_ns = 0, change.t_answer_ns
    while step.rewrite_ns is not None:
        # A pace that the daemon cannot keep is not made up for later.
        due_ns = max(due_ns + step.rewrite_ns, time.monotonic_ns())
        if due_ns >= until_ns:
            break
        ending = look.hold_until(due_ns, may_end=step.may_end)
        if ending is not None:
            return ending, rewrites
        apply(engine, container, step)
        rewrites += 1
    return look.hold_until(until_ns, may_end=step.may_end), rewrites
