"""Runs drawn at random of which it is known what was done, and hence what must be said of them.

Each value of a limit is answered, enforced over time and felt in a way that is drawn by itself.
What must be said is worked out here from what was done, by nothing of the code that judges.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from cgbench.judging.run import Run
from cgbench.records.file_history import FileHistory, Stood
from cgbench.records.host import Host
from cgbench.records.other_limits import Inspected, Unasked
from cgbench.records.run import Row
from cgbench.records.run_directory import RunDirectory
from cgbench.records.trial import Change, FileChange, Harness, Phase, TrialRecord
from cgbench.records.verdict import Outcome, Verdict
from cgbench.spec import experiment_file
from cgbench.spec.option import Value
from cgbench.units import NS_PER_MS, NS_PER_S
from tests.made import records

PERIOD_US = 100_000
HOLD_NS, ANSWER_NS, SETTLING_NS = 2 * NS_PER_S, 15 * NS_PER_MS, 200 * NS_PER_MS
HZ = 1000.0
FAIL = frozenset(
    {Outcome.WRONG, Outcome.INEFFECTIVE, Outcome.IGNORED, Outcome.DISCARDED, Outcome.REVERTED}
)
ACCEPTED = ("at once",) * 12 + ("late", "undone", "twice", "scaled", "dropped", "warned",
                               "besides", "declared otherwise")  # fmt: skip
FACTORS = (0.5, 0.88, 0.94, 0.99, 1.01, 1.06, 1.12, 2.0)
TICK_S, WORKERS = 1 / 250, 2


@dataclass(frozen=True)
class Limit:
    """A limit as its kernel documents describe it: `per` of its file's unit are one of its metric.

    A workload that no limit holds gets `most`. `exact` ones count things, of which load takes none.
    """

    option: str
    file: str
    experiment: str
    metric: str
    unit: str
    role: str
    values: tuple[int, ...]
    per: int
    most: float
    lifted: str
    exact: bool

    def band(self, asked: float, window_s: float) -> float:
        """Return how far a value may lie from what was asked."""
        return 0.0 if self.exact else 0.015 * asked + WORKERS * TICK_S / window_s


QUOTA = Limit(
    "cpu-quota", "cpu.cfs_quota_us", "cpu-quota-sweep", "cpus_used", "CPUs", "worker",
    (10_000, 15_000, 25_000, 36_500, 41_700, 50_000, 75_000, 100_000, 150_000),
    per=PERIOD_US, most=float(WORKERS), lifted="-1", exact=False,
)  # fmt: skip
TASKS = Limit(
    "pids-limit", "pids.max", "pids-limit-sweep", "tasks_max", "tasks", "forker",
    (8, 12, 16, 20, 24, 40, 48, 55), per=1, most=61.0, lifted="max", exact=True,
)  # fmt: skip


@dataclass
class Drawn:
    """A run, what was done, and the verdicts one of which must be given of it."""

    option: str
    done: list[str]
    run: Run
    allowed: frozenset[Outcome]
    must_fail: bool
    departs: bool

    def mistake(self, found: Verdict) -> str | None:
        """Return what is wrong with a verdict on the run, None if nothing."""
        if self.departs == (found.verdict is Outcome.EFFECTIVE):
            return f"false {found.verdict.value}"
        if found.verdict not in self.allowed:
            return f"{found.verdict.value}, not {' or '.join(sorted(self.allowed))}"
        return None if found.fails == self.must_fail else "another exit status"


@dataclass
class _Value:
    """One value, and what was done with it in each trial: its kinds and what was felt.

    `off` is how far the workload is from what is asked besides what the kernel's file explains.
    """

    limit: Limit
    number: int
    off: float
    kinds: list[str] = field(default_factory=list)
    rows: list[float] = field(default_factory=list)
    windows: list[float] = field(default_factory=list)
    broken: bool = False
    nearly: bool = False
    refused: int = 0
    applied: bool = False

    @property
    def asked(self) -> float:
        return self.number / self.limit.per


@dataclass(frozen=True)
class _World:
    """What is the same in all of a run: `taken` CPUs went elsewhere, `deaf` is what a workload
    that heeds nothing gets.
    """

    taken: float
    stolen: bool
    emulated: bool
    deaf: float | None


def drawn(rng: Random) -> Drawn:
    """Draw a run of one of the limits."""
    limit = rng.choice((QUOTA, QUOTA, TASKS))
    world = _World(
        taken=rng.choice((0.0, 0.0, rng.uniform(0.11, 0.6))),
        stolen=rng.random() < 0.5,
        emulated=rng.random() < 0.1,
        deaf=rng.choice(limit.values) / limit.per if rng.random() < 0.05 else None,
    )
    chosen = rng.sample(limit.values, rng.randint(1, 5))
    values = [_Value(limit, one, _felt(rng, one / limit.per, world, limit)) for one in chosen]
    trials = rng.randint(1, 3)
    calm = rng.random() < 0.5
    records_, rows = [], []
    for number in range(1, trials + 1):
        trial, measured = _trial(rng, limit, number, values, world, calm=calm)
        records_.append(trial)
        rows += measured
    run = _run(limit, chosen, records_, rows, world)
    return Drawn(
        limit.option,
        [f"{one.number}: {', '.join(one.kinds)}, felt {one.rows}" for one in values] + [str(world)],
        run,
        *_said(values, world),
    )


def _felt(rng: Random, asked: float, world: _World, limit: Limit) -> float:
    """Draw how far the workload is from what the kernel holds."""
    off = _off(rng, asked, world)
    return float(round(off)) if limit.exact else off


def _off(rng: Random, asked: float, world: _World) -> float:
    kind = rng.choice(("as enforced",) * 15 + ("short by what was taken", "short", "more"))
    if kind == "short by what was taken":
        return -min(world.taken, asked) * rng.uniform(0.3, 0.95)
    if kind == "short":
        return -asked * rng.uniform(0.05, 0.95)
    return asked * rng.uniform(0.05, 1.5) if kind == "more" else 0.0


def _trial(
    rng: Random, limit: Limit, number: int, values: Sequence[_Value], world: _World, *, calm: bool
) -> tuple[TrialRecord, list[Row]]:
    now, held = NS_PER_S, limit.lifted
    phases, rows = [], []
    for place, value in enumerate(values, 1):
        kind = "at once" if calm else rng.choice((*ACCEPTED, "refused", "applied"))
        value.kinds.append(kind)
        refused = kind in ("refused", "applied")
        end = now + ANSWER_NS + (NS_PER_MS if refused else HOLD_NS)
        timeline = _timeline(rng, kind, now, held, value.number)
        phase = _phase(place, value, kind, now, end, timeline)
        phases.append(phase)
        _count(value, kind, timeline)
        if not refused:
            rows.append(_row(rng, number, phase, value, timeline, world))
        now, held = end, timeline[-1][1]
    elapsed_s = now / NS_PER_S
    whole = records.trial(number)
    containers = tuple(one.model_copy(update={"role": limit.role}) for one in whole.containers)
    account = Harness(
        cgbench_cpu_s=0.1, daemon_cpu_s=0.1, elapsed_s=elapsed_s,
        steal_cpu_s=world.taken * elapsed_s if world.stolen else 0.0,
        other_cpu_s=0.0 if world.stolen else world.taken * elapsed_s,
    )  # fmt: skip
    sampler = records.figures(1000, 0).model_copy(update={"achieved_hz": HZ})
    made = {"phases": tuple(phases), "harness": account, "sampler": sampler, "t_end_ns": now,
            "containers": containers}  # fmt: skip
    return whole.model_copy(update=made), rows


def _timeline(rng: Random, kind: str, begin: int, held: str, number: int) -> list[tuple[int, str]]:
    """Return what the file holds, from which moment on."""
    answer, asked = begin + ANSWER_NS, str(number)
    found = [(begin, held)]
    early = begin + rng.randint(1, 12) * NS_PER_MS
    if kind in ("dropped", "refused", "warned"):
        return found
    if kind == "scaled":
        return [*found, (early, str(round(number * rng.choice(FACTORS))))]
    if kind == "late":
        return [*found, (answer + rng.randint(5, 1200) * NS_PER_MS, asked)]
    found.append((early, asked))
    if kind in ("undone", "twice"):
        other = held if held != asked else str(2 * number)
        undone = answer + rng.randint(5, 1000) * NS_PER_MS
        found.append((undone, other))
        if kind == "twice":
            found.append((undone + rng.randint(5, 900) * NS_PER_MS, asked))
    return found


def _phase(
    place: int, value: _Value, kind: str, begin: int, end: int, timeline: list[tuple[int, str]]
) -> Phase:
    answer, asked, limit = begin + ANSWER_NS, str(value.number), value.limit
    seen = [one for at, one in enumerate(timeline) if not at or one[1] != timeline[at - 1][1]]
    history = FileHistory.of([Stood(t_ns=t_ns, text=text) for t_ns, text in seen])
    file = FileChange(
        file=limit.file, before=timeline[0][1], expected=asked, held=timeline[-1][1],
        history=history,
        after=[text for t_ns, text in timeline if t_ns <= answer][-1],
        t_changed_ns=history.took_hold_ns(asked),
    )  # fmt: skip
    refused = kind in ("refused", "applied")
    declared = str(2 * value.number) if kind == "declared otherwise" else asked
    change = Change(
        requested=asked, settings={limit.option: value.number}, via="update", t_request_ns=begin,
        t_answer_ns=answer, files=(file,), error="the daemon said no" if refused else None,
        warnings=("it was dropped",) if kind == "warned" else (),
        inspected=(Inspected(option=limit.option, asked=asked, held=declared),),
    )  # fmt: skip
    more = Unasked(role=limit.role, file="memory.limit_in_bytes", before="1", held="2")
    return Phase(
        number=place, role=limit.role, option=limit.option, change=change, settings=change.settings,
        t_end_ns=end, unasked=(more,) if kind == "besides" else (),
    )  # fmt: skip


def _count(value: _Value, kind: str, timeline: list[tuple[int, str]]) -> None:
    """Note by hand what was done wrong."""
    before, after, asked = timeline[0][1], timeline[-1][1], str(value.number)
    if kind in ("refused", "applied"):
        value.refused += 1
        value.applied |= before != after
    elif kind in ("undone", "twice", "besides", "declared otherwise"):
        value.broken = True
    elif kind == "scaled" and after != asked and before != asked:
        near = 10 * abs(int(after) - value.number) <= value.number
        value.nearly |= near
        value.broken |= not near
    elif kind == "scaled" and after != asked:
        # It held what was asked for until it was asked for.
        value.broken = True
    elif kind in ("dropped", "warned"):
        value.broken |= before != asked


def _row(
    rng: Random,
    number: int,
    phase: Phase,
    value: _Value,
    timeline: list[tuple[int, str]],
    world: _World,
) -> Row:
    """Return what the workload got in the steady window: the mean of what was in force."""
    limit = value.limit
    begin = max(phase.change.t_answer_ns, *(t_ns for t_ns, text in timeline
                                            if text == str(value.number)), 0)  # fmt: skip
    if len(timeline) > 2:
        begin = phase.change.t_answer_ns
    begin += min(SETTLING_NS, (phase.t_end_ns - begin) // 2)
    edges = [max(begin, t_ns) for t_ns, _ in timeline[1:]] + [phase.t_end_ns]
    got, since = 0.0, begin
    for (_, text), until in zip(timeline, edges, strict=True):
        held = limit.most if text == limit.lifted else min(limit.most, int(text) / limit.per)
        got += held * (until - since)
        since = until
    window_s = (phase.t_end_ns - begin) / NS_PER_S
    samples = int(window_s * HZ) + 1
    band = limit.band(value.asked, window_s)
    felt = got / (phase.t_end_ns - begin) + value.off + 0.3 * band * rng.uniform(-1, 1)
    felt = max(0.0, felt if world.deaf is None else world.deaf)
    value.rows.append(felt)
    value.windows.append((samples - 1) / HZ)
    return Row(
        limit.experiment, number, phase.number, limit.role, limit.option, "update",
        phase.requested, None, phase.effective, limit.metric, limit.unit, value.asked, felt,
        100 * (felt / value.asked - 1), samples,
    )  # fmt: skip


def _run(
    limit: Limit,
    chosen: Sequence[int],
    trials: Sequence[TrialRecord],
    rows: Sequence[Row],
    world: _World,
) -> Run:
    model = "QEMU TCG CPU version 2.5+" if world.emulated else "Model 1"
    host = records.host(cpu_model=model)
    return run_of(limit.experiment, limit.option, chosen, trials, rows, host)


def run_of(
    name: str, option: str, values: Sequence[Value], trials: Sequence[TrialRecord],
    rows: Sequence[Row], host: Host,
) -> Run:  # fmt: skip
    """Return the run of an experiment that sets an option to these values, one after the other."""
    loaded = _loaded(name)
    step = next(
        one
        for one in loaded.steps
        if one.via == "update" and not one.prepares and one.note is None and option in one.set
    )
    shaped = loaded.model_copy(
        update={
            "steps": (step.model_copy(update={"set": {option: tuple(values)}}),),
            "trials": len(trials),
        }
    )
    record = records.run(
        experiment=shaped, trials_planned=len(trials), status="finished", host=host
    )
    made = Run(RunDirectory(Path("in-memory")), record, tuple(trials))
    vars(made)["every_row"] = tuple(rows)
    return made


_loaded = functools.cache(experiment_file.load)


def _said(values: Sequence[_Value], world: _World) -> tuple[frozenset[Outcome], bool, bool]:
    """Return the verdicts that are right, whether it fails, and whether anything departs."""
    kinds = [_kind(value, world) for value in values]
    applied = any(value.applied for value in values)
    departs = any(kind != "held" for kind in kinds)
    if "broken" in kinds:
        return FAIL, True, departs
    if "disturbed" in kinds:
        return frozenset({Outcome.INCONCLUSIVE}), applied, departs
    if all(kind == "refused" for kind in kinds):
        return frozenset({Outcome.REJECTED}), applied, departs
    if any(kind in ("refused", "partly refused") for kind in kinds):
        return frozenset({Outcome.PARTIAL}), applied, departs
    if "imprecise" in kinds:
        return frozenset({Outcome.IMPRECISE}), applied, departs
    return frozenset({Outcome.EFFECTIVE}), applied, departs


def _kind(value: _Value, world: _World) -> str:
    if not value.rows:
        return "refused"
    kind = "broken" if value.broken else _by_workload(value, world)
    if value.nearly and kind in ("held", "disturbed"):
        kind = "imprecise"
    return "partly refused" if value.refused and kind in ("held", "imprecise") else kind


def _by_workload(value: _Value, world: _World) -> str:
    """Say what the median over trials shows; of tasks none is too many, not even once."""
    middle, asked = sorted(value.rows), value.asked
    if value.limit.exact and (middle[-1] > asked or middle[(len(middle) - 1) // 2] < asked):
        return "broken"
    felt = (middle[(len(middle) - 1) // 2] + middle[len(middle) // 2]) / 2
    band = value.limit.band(asked, min(value.windows))
    short = asked - felt
    if abs(short) <= band:
        return "held"
    # Load takes away and never adds; an emulated CPU was seen to do both.
    takes = not value.limit.exact
    less = takes * (world.taken + 0.50 * asked * world.emulated)
    more = takes * 0.39 * asked * world.emulated
    remains = short - less if short > 0 else -short - more
    if remains <= band and (less if short > 0 else more):
        return "disturbed"
    return "imprecise" if remains <= max(0.1 * asked, 2 * band) else "broken"
