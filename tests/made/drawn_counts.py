"""Runs drawn at random whose values are counts: of restarts, of tasks, of the CPUs of a set.

As in drawn_runs, what must be said is worked out here from what was done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import median

from cgbench.judging.run import Run
from cgbench.records.confines import Confines, Group
from cgbench.records.file_history import FileHistory, Stood
from cgbench.records.run import Row
from cgbench.records.trial import (
    Awaited,
    AwaitedState,
    Change,
    FileChange,
    Harness,
    Phase,
    TrialRecord,
)
from cgbench.records.verdict import Outcome
from cgbench.units import NS_PER_MS, NS_PER_S
from tests.made import drawn_runs, records
from tests.made.drawn_runs import ANSWER_NS, FAIL, HOLD_NS, HZ, Drawn

RESTARTS = ("in time",) * 8 + ("late", "one more due", "missing", "none", "too many", "refused")
TASKS = ("in time",) * 8 + ("growing", "standing", "too many", "refused")
SETS = ("held",) * 12 + (
    "by affinity", "by a group above", "unused", "off the set", "dropped", "undone", "refused",
)  # fmt: skip
ALL, WORKERS = "0-3", 2
# What each set holds; the workload has two workers, which cannot fill more.
HOLDS = {"0": (0,), "1": (1,), "0-1": (0, 1), "2-3": (2, 3), "1,3": (1, 3), "0-2": (0, 1, 2)}


@dataclass
class _Value:
    """One value: what was done with it in each trial, and what was seen of it."""

    asked: str
    kinds: list[str] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    off: list[float] = field(default_factory=list)
    states: list[AwaitedState] = field(default_factory=list)
    broken: bool = False


def restarts(rng: Random) -> Drawn:
    """Draw a run in which a container is to be restarted so often; some come late or never."""
    most = rng.sample((0, 1, 2, 3, 4), rng.randint(1, 4))
    values = {number: _Value(f"on-failure:{number}" if number else "no") for number in most}
    recorded, taken, calm = rng.random() < 0.8, rng.choice((0.0, 0.9)), rng.random() < 0.4
    trials, rows = [], []
    for number in range(1, rng.randint(1, 3) + 1):
        now, phases = NS_PER_S, []
        for place, (asked, value) in enumerate(values.items(), 1):
            kind = "in time" if calm else rng.choice(RESTARTS)
            value.kinds.append(kind)
            held_on = 0 if kind in ("in time", "too many", "refused") else rng.randint(1, 20)
            end = now + ANSWER_NS + HOLD_NS + held_on * NS_PER_S
            phase = _phase("restart", "fails", value, place, (now, end), refused=kind == "refused")
            now = end
            if kind != "refused":
                found, state = _restarted(rng, kind, asked)
                value.seen.append(found)
                value.states.append(state)
                awaited = Awaited(metric="restarts", state=state, held_on_ns=held_on * NS_PER_S)
                phase = phase.model_copy(update={"awaited": awaited if recorded else None})
                rows.append(_row("restarts", "restarts", number, phase, asked, found))
            phases.append(phase)
        trials.append(_trial(number, ("fails", "succeeds"), phases, taken))
    run = _run("restart-policy", "restart", list(values.values()), trials, rows)
    kinds = [_of_restarts(value, asked, recorded) for asked, value in values.items()]
    return Drawn("restart", _done(list(values.values()), recorded), run, *_said(kinds))


def _restarted(rng: Random, kind: str, asked: int) -> tuple[float, AwaitedState]:
    """Return how many restarts came, and whether cgbench had seen all when the phase ended."""
    if kind == "too many":
        return float(asked + rng.randint(1, 3)), "came"
    if kind == "none":
        return 0.0, "coming"
    if kind == "missing":
        return float(rng.randint(0, max(0, asked - 1))), "coming"
    return float(asked), "coming" if kind == "one more due" else "came"


def _of_restarts(value: _Value, asked: int, recorded: bool) -> str:
    if not value.seen:
        return "refused"
    felt = median(value.seen)
    vain = recorded and 2 * value.states.count("coming") >= len(value.states)
    if max(value.seen) > asked:
        return "broken"
    if felt < asked or vain:
        return "open"
    return "partly refused" if "refused" in value.kinds else "held"


def tasks(rng: Random) -> Drawn:
    """Draw a run of limits on tasks which forks reach, or do not reach yet, or pass by.

    A group above may allow fewer.
    """
    numbers = rng.sample((8, 16, 24, 40, 56), rng.randint(1, 4))
    values = {number: _Value(str(number)) for number in numbers}
    above, calm = rng.choice((None, None, 12)), rng.random() < 0.4
    taken = rng.choice((0.0, 0.9))
    trials, rows = [], []
    for number in range(1, rng.randint(1, 3) + 1):
        now, held, phases = NS_PER_S, "max", []
        for place, (asked, value) in enumerate(values.items(), 1):
            kind = "in time" if calm else rng.choice(TASKS)
            if above is not None and above < asked and kind != "refused":
                kind = "kept below"
            value.kinds.append(kind)
            end = now + ANSWER_NS + HOLD_NS
            stood = [Stood(t_ns=now, text=held)]
            if kind != "refused":
                stood.append(Stood(t_ns=now + 5 * NS_PER_MS, text=value.asked))
            phase = _phase("pids-limit", "forker", value, place, (now, end), stood,
                           refused=kind == "refused")  # fmt: skip
            now, held = end, stood[-1].text or held
            if kind != "refused":
                found, state = _forked(rng, kind, asked, above or asked)
                value.seen.append(found)
                value.states.append(state)
                awaited = Awaited(metric="tasks_max", state=state, held_on_ns=3 * NS_PER_S)
                phase = phase.model_copy(update={"awaited": awaited})
                rows.append(_row("tasks_max", "tasks", number, phase, asked, found))
            phases.append(phase)
        trial = _trial(number, ("forker",), phases, taken)
        trials.append(_below(trial, above, lowered=rng.random() < 0.5))
    run = _run("pids-limit-sweep", "pids-limit", list(values.values()), trials, rows)
    kinds = [_of_tasks(value, asked, above) for asked, value in values.items()]
    return Drawn("pids-limit", _done(list(values.values()), above), run, *_said(kinds))


def _forked(rng: Random, kind: str, asked: int, least: int) -> tuple[float, AwaitedState]:
    """Return how many tasks there were at most, and what became of the waiting for more."""
    if kind == "kept below":
        return float(least), rng.choice(("standing", "coming"))
    if kind in ("growing", "standing"):
        return asked / 2, "standing" if kind == "standing" else "coming"
    return (2.0 if kind == "too many" else 1.0) * asked, "came"


def _below(trial: TrialRecord, most: int | None, *, lowered: bool) -> TrialRecord:
    """Let the containers of a trial be in a group that allows so many tasks.

    Where it was `lowered` meanwhile, that is only seen when a phase ends.
    """

    def confines(text: str) -> Confines:
        own = Group(path="/docker/1", files={"pids.max": "56"})
        return Confines(groups=(own, Group(path="/docker", files={"pids.max": text})))

    least = "max" if most is None else str(most)
    begun = {"confines": confines("max" if lowered else least)}
    ended = {"confines": confines(least) if lowered else None}
    return trial.model_copy(
        update={
            "containers": tuple(one.model_copy(update=begun) for one in trial.containers),
            "phases": tuple(one.model_copy(update=ended) for one in trial.phases),
        }
    )


def _of_tasks(value: _Value, asked: int, above: int | None) -> str:
    if not value.seen:
        return "refused"
    felt = median(value.seen)
    vain = 2 * value.states.count("coming") >= len(value.states)
    if max(value.seen) > asked or (felt < asked and above is not None and above < asked):
        return "broken"
    if vain:
        return "open"
    if felt < asked:
        return "broken"
    return "partly refused" if "refused" in value.kinds else "held"


def sets(rng: Random) -> Drawn:
    """Draw a run on sets of CPUs, of some of which a CPU is unusable, or unused."""
    values = [_Value(one) for one in rng.sample(sorted(HOLDS), rng.randint(1, 4))]
    taken, recorded = rng.choice((0.0, 0.0, 0.4, 0.97)), rng.random() < 0.8
    trials, rows, calm = [], [], rng.random() < 0.4
    for number in range(1, rng.randint(1, 3) + 1):
        now, held, phases = NS_PER_S, ALL, []
        for place, value in enumerate(values, 1):
            kind = "held" if calm else rng.choice(SETS)
            if len(HOLDS[value.asked]) == 1 and kind.startswith("by "):
                kind = "held"
            value.kinds.append(kind)
            end = now + ANSWER_NS + HOLD_NS
            stood = _stood(kind, value.asked, held, now)
            phase = _phase("cpuset-cpus", "worker", value, place, (now, end), stood,
                           refused=kind == "refused")  # fmt: skip
            now, held = end, stood[-1].text or ALL
            confines = _confines(kind, value.asked) if recorded else None
            phases.append(phase.model_copy(update={"confines": confines}))
            value.broken |= stood[-1].text != value.asked and kind != "refused"
            value.broken |= recorded and kind.startswith("by ")
            if kind != "refused":
                rows += _figures(rng, kind, number, phase, value)
        trials.append(_trial(number, ("worker",), phases, taken))
    run = _run("cpuset-cpus-moves", "cpuset-cpus", values, trials, rows)
    kinds = [_of_set(value) for value in values]
    return Drawn("cpuset-cpus", _done(values, (recorded, taken)), run, *_said(kinds))


def _stood(kind: str, asked: str, held: str, begin: int) -> list[Stood]:
    """Return the texts that the file held."""
    found = [(begin, held)]
    if kind not in ("dropped", "refused"):
        found.append((begin + 5 * NS_PER_MS, asked))
    if kind == "undone":
        found.append((begin + 500 * NS_PER_MS, ALL))
    return [
        Stood(t_ns=t_ns, text=text)
        for at, (t_ns, text) in enumerate(found)
        if not at or text != found[at - 1][1]
    ]


def _confines(kind: str, asked: str) -> Confines:
    """Return what confines the container: its last CPU is kept from it in one of two ways."""
    one = str(HOLDS[asked][0])
    group = one if kind == "by a group above" else ALL
    own = one if kind == "by a group above" else asked
    texts = {"/docker/1": own, "/docker": group, "/": ALL}
    return Confines(
        affinity=(one if kind.startswith("by ") else own,),
        groups=tuple(
            Group(path=path, files={"cpuset.cpus.effective": text}) for path, text in texts.items()
        ),
    )


def _figures(rng: Random, kind: str, number: int, phase: Phase, value: _Value) -> list[Row]:
    cpus = len(HOLDS[value.asked])
    filled = cpus if cpus <= WORKERS else None
    unused = kind == "unused" or kind.startswith("by ")
    value.seen.append(float(min(cpus, WORKERS) - unused))
    value.off.append(rng.uniform(1, 900) if kind in ("off the set", "dropped", "undone") else 0.0)
    return [
        _row("off_mask_cpu_ms", "ms", number, phase, 0.0, value.off[-1]),
        _row("set_cpus_used", "CPUs", number, phase, filled, value.seen[-1]),
    ]


def _of_set(value: _Value) -> str:
    if not value.seen:
        return "refused"
    cpus = len(HOLDS[value.asked])
    if value.broken or max(value.off) > 0:
        return "broken"
    # One that was used once can be used, and one that never was may be only late.
    if cpus <= WORKERS and max(value.seen) < cpus:
        return "open"
    return "partly refused" if "refused" in value.kinds else "held"


def _phase(
    option: str, role: str, value: _Value, place: int, times: tuple[int, int],
    stood: Sequence[Stood] = (), *, refused: bool,
) -> Phase:  # fmt: skip
    begin, end = times
    answer = begin + ANSWER_NS
    files: tuple[FileChange, ...] = ()
    if stood:
        history = FileHistory.of(stood)
        files = (
            FileChange(
                file="cpuset.cpus" if option == "cpuset-cpus" else "pids.max",
                before=stood[0].text, expected=value.asked,
                after=[one.text for one in stood if one.t_ns <= answer][-1],
                held=stood[-1].text, history=history,
                t_changed_ns=history.took_hold_ns(value.asked),
            ),
        )  # fmt: skip
    change = Change(
        requested=value.asked, settings={option: value.asked}, via="update", t_request_ns=begin,
        t_answer_ns=answer, files=files, error="the daemon said no" if refused else None,
    )  # fmt: skip
    return Phase(
        number=place, role=role, option=option, change=change, settings=change.settings,
        t_end_ns=end,
    )  # fmt: skip


def _row(
    metric: str, unit: str, number: int, phase: Phase, expected: float | None, felt: float
) -> Row:
    error = 100 * (felt / expected - 1) if expected else None
    return Row(
        "drawn", number, phase.number, phase.role, phase.option, "update", phase.requested, None,
        phase.effective, metric, unit, expected, felt, error, int(HZ),
    )  # fmt: skip


def _trial(number: int, roles: Sequence[str], phases: Sequence[Phase], taken: float) -> TrialRecord:
    whole, end = records.trial(number), phases[-1].t_end_ns
    (one,) = whole.containers
    containers = tuple(one.model_copy(update={"role": role}) for role in roles)
    account = Harness(
        cgbench_cpu_s=0.1, daemon_cpu_s=0.1, elapsed_s=end / NS_PER_S, steal_cpu_s=0.0,
        other_cpu_s=taken * end / NS_PER_S,
    )  # fmt: skip
    made = {"phases": tuple(phases), "harness": account, "t_end_ns": end, "containers": containers}
    return whole.model_copy(update=made)


def _run(
    experiment: str,
    option: str,
    values: Sequence[_Value],
    trials: Sequence[TrialRecord],
    rows: Sequence[Row],
) -> Run:
    return drawn_runs.run_of(
        experiment, option, [one.asked for one in values], trials, rows,
        records.host(cpus=4, cpu_list=ALL),
    )  # fmt: skip


def _done(values: Sequence[_Value], world: object) -> list[str]:
    told = [f"{one.asked}: {', '.join(one.kinds)}, saw {one.seen} {one.off}" for one in values]
    return [*told, str(world)]


def _said(kinds: Sequence[str]) -> tuple[frozenset[Outcome], bool, bool]:
    """Return the verdicts that are right, whether it fails, and whether anything departs."""
    departs = any(kind != "held" for kind in kinds)
    if "broken" in kinds:
        return FAIL, True, departs
    if "open" in kinds:
        return frozenset({Outcome.INCONCLUSIVE}), False, departs
    if all(kind == "refused" for kind in kinds):
        return frozenset({Outcome.REJECTED}), False, departs
    if departs:
        return frozenset({Outcome.PARTIAL}), False, departs
    return frozenset({Outcome.EFFECTIVE}), False, departs
