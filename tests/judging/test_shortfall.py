"""CPU time that is lacking is split over who had it, and the parts add up."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.judging.run import Run, load
from cgbench.judging.shortfall import (
    CGBENCH,
    DAEMON,
    LIMIT,
    OTHERS,
    STEAL,
    parted,
    shortfalls,
)
from cgbench.records.account import Account, ProcessUse
from cgbench.records.run_directory import RunDirectory
from cgbench.spec.conversions import bandwidth
from cgbench.spec.option import Settings
from cgbench.units import NS_PER_S
from tests.made.run_builder import MadeUp, build

SECONDS = 10


def account(
    used: float, steal: float = 0.0, own: float = 0.0, daemon: float | None = 0.0,
    hog: float = 0.0, idle: float = 0.0, rival: float = 0.0,
) -> Account:  # fmt: skip
    """Return the account of a phase on two CPUs, given each part in CPUs."""
    return Account(
        t_begin_ns=5 * NS_PER_S, t_end_ns=(5 + SECONDS) * NS_PER_S, cpus=2,
        idle_cpu_s=SECONDS * idle, steal_cpu_s=SECONDS * steal, cgbench_cpu_s=SECONDS * own,
        daemon_cpu_s=None if daemon is None else SECONDS * daemon,
        containers={"worker": SECONDS * used, "rival": SECONDS * rival},
        largest=(ProcessUse(pid=7, name="stress", cpu_s=SECONDS * hog),) if hog else (),
    )  # fmt: skip


def test_each_part_is_named_and_all_add_up_to_what_is_lacking() -> None:
    one = account(used=1.0, steal=0.1, own=0.05, daemon=0.05, hog=0.3, idle=0.5)
    assert parted(one, "worker", 1.5) == pytest.approx(
        {
            (LIMIT, None, None): 0.0,
            (STEAL, None, None): 0.1,
            (CGBENCH, None, None): 0.05,
            (DAEMON, None, None): 0.05,
            (OTHERS, "stress", 7): 0.3,
            (OTHERS, None, None): 0.0,
        },
        abs=1e-9,
    )


def test_others_bear_only_what_is_lacking_where_they_had_more() -> None:
    one = account(used=1.3, hog=0.4, idle=0.3)
    parts = parted(one, "worker", 1.5)
    assert parts is not None
    assert parts[OTHERS, "stress", 7] == pytest.approx(0.2)
    assert sum(parts.values()) == pytest.approx(0.2)


def test_what_nobody_took_is_the_limits_own() -> None:
    one = account(used=0.75, hog=0.1, idle=1.15)
    parts = parted(one, "worker", 1.5)
    assert parts is not None
    assert parts[LIMIT, None, None] == pytest.approx(0.65)
    assert parts[OTHERS, "stress", 7] == pytest.approx(0.1)


def test_what_other_containers_used_is_no_part_of_it() -> None:
    one = account(used=0.5, rival=1.0, hog=0.2, idle=0.3)
    parts = parted(one, "worker", 0.7)
    assert parts is not None
    assert parts[OTHERS, "stress", 7] == pytest.approx(0.2)
    assert parts[OTHERS, None, None] == pytest.approx(0.0)


def test_nothing_is_said_where_a_part_is_not_known() -> None:
    assert parted(account(used=1.0, daemon=None), "worker", 1.5) is None
    assert parted(account(used=1.0), "nobody", 1.5) is None
    begin = account(used=1.0)
    assert parted(begin.model_copy(update={"t_end_ns": begin.t_begin_ns}), "worker", 1.5) is None


PART = st.floats(0, 0.5, allow_nan=False)


@given(used=st.floats(0, 2), steal=PART, own=PART, daemon=PART, hog=PART, expected=st.floats(0, 2))
def test_parts_add_up_whatever_was_used(
    used: float, steal: float, own: float, daemon: float, hog: float, expected: float
) -> None:
    idle = max(0.0, 2 - used - steal - own - daemon - hog)
    parts = parted(account(used, steal, own, daemon, hog, idle), "worker", expected)
    assert parts is not None
    assert sum(parts.values()) == pytest.approx(expected - used, abs=1e-6)


def crowded(settings: Settings) -> tuple[int | None, int]:
    """Let no container use more than 1.2 CPUs."""
    quota, period = bandwidth(settings)
    return (None if quota is None else min(quota, 6 * period // 5)), period


def accounted(directory: RunDirectory, one: Account, share: float = 1.0) -> Run:
    """Write an account to every phase of every trial, of which each container used a share."""
    for trial in directory.trials():
        phases = tuple(
            phase.model_copy(update={"account": one.model_copy(
                update={"containers": {"worker": share * (one.containers["worker"] or 0.0)}}
            )})
            for phase in trial.phases
        )  # fmt: skip
        directory.append_trial(trial.model_copy(update={"phases": phases}))
    return load(directory)


def test_a_value_below_its_band_is_split_and_no_other(tmp_path: Path) -> None:
    directory = build(tmp_path, MadeUp(kernel=crowded))
    run = accounted(directory, account(used=1.2, steal=0.1, hog=0.2, idle=0.5))
    (found,) = shortfalls(run)
    assert (found.key.requested, found.trials) == ("150000", 3)
    assert found.lacking == pytest.approx(0.3)
    assert [(one.what, one.process) for one in found.takers] == [
        (OTHERS, "stress"), (STEAL, None),
    ]  # fmt: skip
    assert found.to_json()["takers"][0] == {
        "what": OTHERS, "cpus": pytest.approx(0.2), "process": "stress", "pid": 7,
    }  # fmt: skip


def test_a_run_without_accounts_has_no_split(tmp_path: Path) -> None:
    """An older cgbench kept none."""
    assert list(shortfalls(load(build(tmp_path, MadeUp(kernel=crowded))))) == []


def test_what_an_account_shows_to_be_whole_is_not_split(tmp_path: Path) -> None:
    """Over the whole phase the container may have had its due, though not in its steady part."""
    directory = build(tmp_path, MadeUp(kernel=crowded))
    assert list(shortfalls(accounted(directory, account(used=1.6, idle=0.4)))) == []
