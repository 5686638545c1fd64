"""The facts beside a run's findings: the host, how it was measured, how to run it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from cgbench.errors import CgbenchError
from cgbench.judging.estimates import Point
from cgbench.records.run import RunRecord
from cgbench.records.trial import Harness, TrialRecord
from cgbench.spec import experiment_file
from cgbench.spec.conversions import conversion
from cgbench.spec.emulated import slowed
from cgbench.spec.option import CPU_WEIGHT
from cgbench.units import NS_PER_S, format_size
from cgbench.wording import count

Facts = list[tuple[str, str]]
"""Names and values, in the order in which they are shown."""


@dataclass(frozen=True)
class Again:
    """How to run it again: the command, and what it may not repeat."""

    command: str
    words: str


def table_words(many: Sequence[Point], metric: str | None) -> str:
    """Say what a table's figures are, and with which probability its intervals cover."""
    files = dict.fromkeys(file for point in many for file in point.files)
    read = f"Enforced is {' and '.join(files)} as read back. " if files else ""
    estimates = [one for point in many if (one := point.estimate(metric)) is not None]
    if not estimates:
        return f"{read}No expectation is known for these values, so no error is given."
    what = f"{read}Experienced is the median across trials"
    levels = sorted({one.level for one in estimates if one.level is not None})
    if not levels:
        return f"{what}; one trial allows no interval."
    range_ = " to ".join(f"{100 * level:.0f} %" for level in dict.fromkeys((levels[0], levels[-1])))
    return (
        f"{what}. The interval covers the true median with a probability of {range_}; it comes "
        "from the order of the trials and assumes no distribution."
    )


def host_facts(record: RunRecord) -> Facts:
    """Return the facts about the host."""
    host = record.host
    swap = f"{format_size(host.swap_bytes)} swap" if host.swap_bytes else "no swap"
    return [
        ("Host", host.hostname),
        ("CPUs", f"{host.cpus} × {host.cpu_model}"),
        ("Memory", f"{format_size(host.memory_bytes)}, {swap}"),
        ("Kernel", host.kernel + (f", {host.timer_hz} Hz" if host.timer_hz else "")),
        ("System", host.os),
        ("cgroup", f"{host.cgroup}, {host.cgroup_driver} driver"),
        ("Engine", f"{host.engine_words}, API {host.docker_api}"),
        ("Runtime, storage", f"{host.runtime_words}, {host.storage_driver}"),
    ]


def measuring_facts(record: RunRecord, trials: Sequence[TrialRecord]) -> Facts:
    """Return how a run was measured, how precisely, and at what cost."""
    good = [trial for trial in trials if trial.status == "ok"]
    failed = len(trials) - len(good)
    containers = "; ".join(
        f"{one.role}: {one.workload}, {count(one.workers, 'worker')}"
        for one in record.experiment.containers
    )
    measured = f"{len(good)} of {record.trials_planned} measured"
    facts = [
        ("Trials", measured + f", {failed} failed" * bool(failed) + ", quick" * record.quick),
        ("Order", f"shuffled with seed {record.seed}"),
        ("Hold times", _holds(good)),
        ("Containers", containers),
        ("Image", record.image),
    ]
    if record.host.image_packages is not None:
        facts.append(("Image's packages", record.host.image_packages))
    facts += [("Interface file", path) for path in paths(good)]
    facts += [("Shares to cpu.weight", formula) for formula in _conversions(good)]
    return facts + _sampler(good) + _harness(good)


def paths(good: Sequence[TrialRecord]) -> list[str]:
    """Return where the interface files were that were changed, of the last trial, for `cat`.

    They are gone with their container; those of another one have its identity in their path.
    """
    found = [
        file.path
        for trial in good[-1:]
        for phase in trial.phases
        for file in phase.change.files
        if file.path is not None
    ]
    return list(dict.fromkeys(found))


def _conversions(good: Sequence[TrialRecord]) -> list[str]:
    """Return the formulas by which shares became weights, as far as the weights show them."""
    found = (
        conversion(int(phase.settings["cpu-shares"]), file.after)
        for trial in good
        for phase in trial.phases
        for file in phase.change.files
        if "cpu-shares" in phase.settings and file.file == CPU_WEIGHT
    )
    return sorted({one for one in found if one is not None})


def _holds(good: Sequence[TrialRecord]) -> str:
    held = sum(trial.hold_ns for trial in good)
    if not held:
        return "–"
    took = sum(trial.t_end_ns - trial.t_begin_ns for trial in good)
    each = sorted(
        round((phase.t_end_ns - phase.change.t_answer_ns) / NS_PER_S, 1)
        for trial in good
        for phase in trial.phases
    )
    span = " to ".join(f"{value:g}" for value in dict.fromkeys((each[0], each[-1])))
    return f"{span} s each; trials took {took / held:.2f} × their sum"


def _sampler(good: Sequence[TrialRecord]) -> Facts:
    figures = [trial.sampler for trial in good if trial.sampler is not None]
    if not figures:
        return []
    missed = sum(one.missed for one in figures)
    deadlines = sum(one.ticks + one.missed for one in figures)
    return [
        ("Sampler's rate", f"{median(one.achieved_hz for one in figures):.1f} of "
                           f"{figures[0].requested_hz:g} Hz, {figures[0].files} files"),
        ("Late: p50, p99, max", f"{median(one.late_p50_us for one in figures):.0f}, "
                                f"{max(one.late_p99_us for one in figures):.0f}, "
                                f"{max(one.late_max_us for one in figures):.0f} µs"),
        ("Missed", f"{missed} of {deadlines} deadlines ({100 * missed / max(1, deadlines):.2f} %)"),
        ("Sampler's CPU", f"{median(one.cpu_pct for one in figures) / 100:.3f} CPUs, a reading "
                          f"takes {median(one.reading_p50_us for one in figures):.0f} µs"),
        ("Scheduling class", ", ".join(sorted({one.scheduling for one in figures}))),
    ]  # fmt: skip


def _harness(good: Sequence[TrialRecord]) -> Facts:
    costs = [trial.harness for trial in good if trial.harness is not None]
    elapsed = sum(one.elapsed_s for one in costs)
    if not elapsed:
        return []
    daemon = [one.daemon_cpu_s for one in costs if one.daemon_cpu_s is not None]
    daemon = daemon if len(daemon) == len(costs) else []
    used = [("cgbench itself", sum(one.cgbench_cpu_s for one in costs))]
    used += [("Docker's daemons", sum(daemon))] if daemon else []
    used += [("Steal", sum(one.steal_cpu_s for one in costs))]
    facts = [(name, f"{seconds / elapsed:.3f} CPUs") for name, seconds in used]
    others = [one.other_cpu_s for one in costs if one.other_cpu_s is not None]
    known = len(others) == len(costs)
    share = f"{sum(others) / elapsed:.3f} CPUs" if known else "not known"
    return [*facts, ("Other processes", share), *_cpu_state(costs, elapsed)]


def _cpu_state(costs: Sequence[Harness], elapsed: float) -> Facts:
    """Return the state of the host's CPUs, as far as its kernel reports it."""
    waited = [one.waited_s for one in costs if one.waited_s is not None]
    clocks = [one.mhz for one in costs if one.mhz is not None]
    hot = [one.thermal_throttles for one in costs if one.thermal_throttles is not None]
    facts = []
    if len(waited) == len(costs):
        share = f"{100 * sum(waited) / elapsed:.1f} % of the time"
        facts.append(("A task waited for a CPU", share))
    if clocks:
        ends = dict.fromkeys(f"{mhz:.0f}" for mhz in (min(clocks), max(clocks)))
        facts.append(("CPU clock", f"{' to '.join(ends)} MHz"))
    if hot:
        facts.append(("Slowed by heat", count(sum(hot), "time")))
    return facts


def how_to_run_again(record: RunRecord) -> Again:
    """Return the command that repeats a run, and whether it would repeat it exactly."""
    name, trials = record.experiment.name, record.experiment.trials
    try:
        built_in = experiment_file.load(name) if name in experiment_file.builtin_names() else None
    except CgbenchError:
        built_in = None
    options = f"{' --quick' * record.quick} --trials {trials} --seed {record.seed}"
    if built_in is None:
        return Again(
            f"cgbench run {name}.toml{options}",
            f"`{name}.toml` is the experiment's own file; run.json holds all of it.",
        )
    shaped = (built_in.shortened() if record.quick else built_in).model_copy(
        update={"trials": trials}
    )
    if record.host.emulated:
        shaped = slowed(shaped)
    words = (
        "The seed gives the trials the same order."
        if shaped == record.experiment
        else f"This cgbench's `{name}` differs from the one that ran; run.json holds all of that."
    )
    return Again(f"cgbench run {name}{options}", words)
