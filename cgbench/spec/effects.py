"""Which workload shows an option's effect while other options are updated beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cgbench.spec.container import Container
from cgbench.spec.experiment import Experiment
from cgbench.spec.option import Option, Settings, Value
from cgbench.spec.options import OPTIONS
from cgbench.spec.precondition import Precondition
from cgbench.spec.step import Step
from cgbench.units import NS_PER_MS

_BIRTH_NS = 50 * NS_PER_MS


@dataclass(frozen=True)
class Shown:
    """How the effect of one option is shown.

    `settings` is the value with what it needs, `birth` what the changed container, the first of
    `containers`, is started with. The first update is held for `first_ms`, each later one of the
    option for `before_ms`, one of another option for `after_ms`. Where growth into the limit ends
    the container (`ends`), each other option gets a life of it of its own. `hinders` are options
    that take from the workload what it needs to show the effect.
    """

    settings: Settings
    containers: tuple[Container, ...]
    birth: Settings
    requires: tuple[Precondition, ...] = ()
    first_ms: int = 1200
    before_ms: int = 600
    after_ms: int = 1000
    ends: bool = False
    group: int | None = None
    device: int | None = None
    swap: int | None = None
    hinders: tuple[str, ...] = ()


def _spins(workers: int = 1, role: str = "worker", **options: Value) -> Container:
    named = {name.replace("_", "-"): value for name, value in options.items()}
    return Container(role=role, workload="spin", workers=workers, options=named)


_MIB = 2**20
# The cap that containers have anyhow, so that a birth with it sets nothing.
_BIRTH: Settings = {"pids-limit": 64}
_CACHE = {"workload": "cache", "size": 112 * _MIB, "group": True}
_BANDWIDTH = (Precondition.CPU_BANDWIDTH,)
# As in blkio-weight-contention: no favour, no share given up, and turns of 1 MiB.
_BFQ = {"low_latency": 0, "strict_guarantees": 1, "max_budget": 2048, "timeout_sync": 1000}

SHOWN: Mapping[str, Shown] = {
    "cpus": Shown({"cpus": "0.5"}, (_spins(2),), _BIRTH, _BANDWIDTH),
    "cpu-quota": Shown({"cpu-quota": 30_000}, (_spins(2),), _BIRTH, _BANDWIDTH),
    "cpu-period": Shown(
        {"cpu-period": 50_000, "cpu-quota": 25_000}, (_spins(),), _BIRTH, _BANDWIDTH
    ),
    # A rival on each CPU: whichever the container is moved to, it has one.
    "cpu-shares": Shown(
        {"cpu-shares": 512},
        (
            _spins(role="worker", cpuset_cpus="0", cpu_shares=1024),
            _spins(role="rival", cpuset_cpus="0", cpu_shares=1024),
            _spins(role="other-rival", cpuset_cpus="1", cpu_shares=1024),
        ),
        _BIRTH, (Precondition.TWO_CPUS,),
        after_ms=1500,
    ),
    "cpuset-cpus": Shown(
        {"cpuset-cpus": "0"}, (_spins(2),), _BIRTH, (Precondition.TWO_CPUS,)
    ),
    "memory": Shown(
        {"memory": "64m", "memory-swap": "512m"},
        (Container(role="reader", workload="cache", size=96 * _MIB),),
        _BIRTH, (Precondition.MEMORY_CONTROLLER,), before_ms=400, after_ms=800,
    ),
    # Below an equal part of the group, 64 MiB, it would bind nothing.
    "memory-reservation": Shown(
        {"memory-reservation": "80m"},
        (
            Container.model_validate({"role": "reserved", **_CACHE}),
            Container.model_validate({"role": "rival", **_CACHE}),
        ),
        _BIRTH, (Precondition.MEMORY_CONTROLLER,), first_ms=3000, group=128 * _MIB,
    ),
    "memory-swap": Shown(
        {"memory-swap": "96m"},
        (Container(role="grower", workload="grow", size=160 * _MIB, pace=4 * NS_PER_MS),),
        {"memory": "64m", "memory-swap": "256m"},
        (Precondition.MEMORY_CONTROLLER, Precondition.SWAP),
        after_ms=4000, ends=True, swap=256 * _MIB,
    ),
    "blkio-weight": Shown(
        {"blkio-weight": 300},
        (
            Container(role="heavy", workload="fio-randread", options={"blkio-weight": 100}),
            Container(role="light", workload="fio-randread", options={"blkio-weight": 100}),
        ),
        _BIRTH, (Precondition.BFQ,), first_ms=2500, before_ms=1000, after_ms=2500,
        device=512 * _MIB, hinders=("cpus", "cpu-quota", "cpu-period", "cpuset-cpus"),
    ),
    # Born with fewer, since a limit below the present number would kill nobody.
    "pids-limit": Shown(
        {"pids-limit": 64},
        (Container(role="forker", workload="fork", count=100, pace=2 * NS_PER_MS, pids=128),),
        {"pids-limit": 32}, before_ms=250, after_ms=600,
    ),
}  # fmt: skip
"""By option; of those that are missing no workload shows an effect that lasts."""


def experiment(option: str, walks: Iterable[Sequence[Option]]) -> Experiment:
    """Return the experiment that shows an option's effect around updates of others.

    Each of `walks` are options that are updated one after another on the same container, each
    right after the option itself was set once more.
    """
    shown = SHOWN[option]
    return Experiment(
        name=f"effect-of-{option}",
        title=f"The effect of --{option} while other options are updated",
        question="Does the workload go on to show it?",
        option=option,
        requires=shown.requires,
        trials=1,
        containers=shown.containers,
        group=shown.group,
        device=shown.device,
        scheduler_attributes=_BFQ if shown.device else {},
        swap=shown.swap,
        steps=tuple(step for walk in _lives(shown, walks) for step in _steps(shown, walk)),
    )


def _lives(shown: Shown, walks: Iterable[Sequence[Option]]) -> Iterator[Sequence[Option]]:
    """Yield the others of each life of the containers; the first shows the option alone."""
    if not shown.ends:
        yield from walks
        return
    yield ()
    for walk in walks:
        yield from ((one,) for one in walk)


def _steps(shown: Shown, walk: Sequence[Option]) -> Iterator[Step]:
    role = shown.containers[0].role
    yield Step(role=role, set=shown.birth, hold=_BIRTH_NS, via="run", prepares=True)
    in_force = {**shown.containers[0].options, **shown.birth, **shown.settings}
    alone = shown.ends and not walk
    hold_ms = shown.after_ms if alone else shown.first_ms
    for one in walk:
        yield Step(
            role=role, set=shown.settings, note=f"before --{one.name}",
            hold=_BIRTH_NS if shown.ends else hold_ms * NS_PER_MS, prepares=shown.ends,
        )  # fmt: skip
        hold_ms = shown.before_ms
        # What an option needs beside it may be in force already.
        needed = {name: value for name, value in one.beside.items() if name not in in_force}
        in_force |= {**needed, one.name: one.other}
        yield Step(
            role=role, set={one.name: one.other, **needed}, hold=shown.after_ms * NS_PER_MS,
            may_end=shown.ends,
        )  # fmt: skip
    if alone:
        yield Step(role=role, set=shown.settings, hold=hold_ms * NS_PER_MS, may_end=True)


def walks(
    option: str, others: Iterable[str], refused: Iterable[tuple[str, str]], apart: Iterable[str]
) -> tuple[tuple[Option, ...], ...]:
    """Return which of `others` can be updated one after another on one container.

    `refused` are pairs of which Docker refuses the second after the first. Those `apart` each get
    a container of their own: after them the option could not be set again. A longer period comes
    last, since after it every window must be longer.
    """
    conflicts, alone = set(refused), set(apart)
    found: list[list[Option]] = []
    # cpu-period is the only option that changes how long a window must be.
    ordered = sorted(others, key=lambda name: name == "cpu-period")
    for name in ordered:
        if name in SHOWN[option].hinders or name in alone:
            continue
        one = OPTIONS[name]
        for walk in found:
            pairs = {(each.name, name) for each in walk} | {(name, each.name) for each in walk}
            if not pairs & conflicts:
                walk.append(one)
                break
        else:
            found.append([one])
    single = [(OPTIONS[name],) for name in ordered if name in alone]
    return (*map(tuple, found), *single)
