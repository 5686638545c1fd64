"""A steady window spans whole periods, and neither end lies where the host had stood still."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from cgbench.judging.container_data import ContainerData, Window, steady_window
from cgbench.records.trial import Phase
from cgbench.spec.option import Settings
from cgbench.units import NS_PER_MS
from tests.made import records

PERIOD_MS, QUOTA_MS, WORKERS = 100, 40, 2
SETTINGS: Settings = {"cpu-quota": QUOTA_MS * 1000, "cpu-period": PERIOD_MS * 1000}


def measured(periods: int, *stands: tuple[int, int]) -> ContainerData:
    """Return a container under a quota, sampled each ms but while the host stood still.

    Each of `stands` is when that began, and for how long, in ms. What ran meanwhile was charged,
    and is paid back in the next periods.
    """
    still = np.zeros(periods * PERIOD_MS, dtype=bool)
    for begin, length in stands:
        still[begin : begin + length] = True
    counter = np.array(_usage(periods, still))
    t_ns = np.arange(periods * PERIOD_MS, dtype=np.int64) * NS_PER_MS
    seen = ~still
    number = (t_ns // (PERIOD_MS * NS_PER_MS)).astype(float)
    record = records.trial().containers[0].model_copy(update={"workers": WORKERS})
    return ContainerData(
        record=record, t_ns=t_ns[seen],
        counters={"usage_ns": counter[seen], "periods": number[seen],
                  "throttled_periods": number[seen]},
        per_cpu={}, running_on=(), per_node={}, pressure_us=None, stalls=(), units=(t_ns, t_ns),
        stats=(t_ns, t_ns.astype(np.float64)),
    )  # fmt: skip


def _usage(periods: int, still: npt.NDArray[np.bool_]) -> list[float]:
    """Return the usage counter in ns after each ms."""
    left, total, found = 0.0, 0.0, []
    for at in range(periods * PERIOD_MS):
        if at % PERIOD_MS == 0:
            # Debts stay, what is left does not.
            left = min(left, 0.0) + QUOTA_MS
        if left > 0 or still[at]:
            total += WORKERS
            left -= WORKERS
        found.append(total * NS_PER_MS)
    return found


def window(data: ContainerData, begin_ms: int = 0, settle_ms: int = 0) -> Window:
    (phase,) = records.trial().phases
    change = phase.change.model_copy(
        update={"t_answer_ns": begin_ms * NS_PER_MS, "files": ()}
    )  # fmt: skip
    held: Phase = phase.model_copy(
        update={
            "change": change,
            "settings": SETTINGS,
            "t_end_ns": int(data.t_ns[-1]) + 1,
            "settle_ns": settle_ms * NS_PER_MS,
        }
    )
    found = steady_window(held, data, SETTINGS)
    assert found is not None
    assert found.whole_periods
    return found


def cpus(data: ContainerData, one: Window) -> float:
    usage = data.counters["usage_ns"]
    return float((usage[one.last] - usage[one.first]) / (one.t_end_ns - one.t_begin_ns))


def test_a_quiet_window_spans_all_whole_periods() -> None:
    data = measured(16)
    one = window(data)
    assert (one.t_begin_ns // NS_PER_MS, one.t_end_ns // NS_PER_MS) == (299, 1499)
    assert cpus(data, one) == pytest.approx(0.4)
    assert one.stood_ns == 0


def test_a_window_begins_when_its_step_lets_it_but_half_of_the_phase_counts() -> None:
    data = measured(20)
    usual = window(data)
    later = window(data, settle_ms=8 * PERIOD_MS)
    assert later.t_begin_ns >= 8 * PERIOD_MS * NS_PER_MS > usual.t_begin_ns
    assert later.t_end_ns == usual.t_end_ns
    most = window(data, settle_ms=100 * PERIOD_MS)
    assert most.t_begin_ns <= (10 * PERIOD_MS + PERIOD_MS) * NS_PER_MS


def test_a_window_does_not_end_with_a_period_in_which_the_host_stood_still() -> None:
    """Met on a quiet host: 0.443 CPUs of 0.417, since it stood for 25 ms in the last period."""
    data = measured(16, (1415, 25))
    one = window(data)
    assert one.t_end_ns // NS_PER_MS == 1399
    assert cpus(data, one) == pytest.approx(0.4)


def test_what_evens_out_within_a_window_is_left_in_it() -> None:
    data = measured(16, (615, 25))
    one = window(data)
    assert (one.t_begin_ns // NS_PER_MS, one.t_end_ns // NS_PER_MS) == (299, 1499)
    assert cpus(data, one) == pytest.approx(0.4)


def test_a_window_does_not_begin_before_what_was_borrowed_is_paid_back() -> None:
    data = measured(16, (215, 30))
    one = window(data)
    assert one.t_begin_ns // NS_PER_MS == 499
    assert cpus(data, one) == pytest.approx(0.4)


def test_what_was_borrowed_while_an_older_debt_was_paid_back_is_paid_back_too() -> None:
    """Met on a quiet host: 0.344 CPUs of 0.365, after it had stood in three periods in a row."""
    data = measured(20, (205, 10), (325, 30), (425, 25))
    one = window(data)
    assert one.t_begin_ns // NS_PER_MS >= 599
    assert cpus(data, one) == pytest.approx(0.4)


def test_nothing_is_cut_off_where_too_little_would_be_left() -> None:
    data = measured(8, *((at, 20) for at in range(215, 800, 100)))
    one = window(data)
    assert (one.t_begin_ns // NS_PER_MS, one.t_end_ns // NS_PER_MS) == (299, 699)
    assert one.stood_ns // NS_PER_MS == 42
