"""An account's parts are those of the host's CPUs, and what is not known stays unknown."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cgbench.records.account import Account
from cgbench.units import NS_PER_S

WHOLE = {
    "t_begin_ns": NS_PER_S, "t_end_ns": 3 * NS_PER_S, "cpus": 2, "idle_cpu_s": 1.0,
    "steal_cpu_s": 0.5, "cgbench_cpu_s": 0.25, "daemon_cpu_s": 0.25, "containers": {"worker": 1.5},
}  # fmt: skip


def test_the_others_used_what_is_left() -> None:
    one = Account.model_validate(WHOLE)
    assert one.seconds == 2
    assert one.others_cpu_s == pytest.approx(0.5)


@pytest.mark.parametrize("unknown", [{"daemon_cpu_s": None}, {"containers": {"worker": None}}])
def test_the_others_are_not_known_where_a_part_is_not(unknown: dict[str, object]) -> None:
    assert Account.model_validate(WHOLE | unknown).others_cpu_s is None


@pytest.mark.parametrize(
    "wrong",
    [{"cpus": 0}, {"idle_cpu_s": -1.0}, {"steal_cpu_s": "NaN"}, {"containers": {"../x": 1.0}}],
)
def test_an_account_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Account.model_validate(WHOLE | wrong)
