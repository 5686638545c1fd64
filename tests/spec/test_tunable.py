"""The limits that can be searched: read, rounded, and written as Docker takes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.errors import OptionError
from cgbench.spec import tunable
from cgbench.spec.options import option


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("cpus", "0.25", 0.25), ("memory", "64m", 64 * 2**20), ("pids", "100", 100.0)],
)
def test_a_limit_is_read_as_it_is_typed(name: str, text: str, value: float) -> None:
    assert tunable.value(tunable.tunable(name), "--from", text) == value


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("cpus", "half", "half"),
        ("cpus", "0.001", "no less than 0.01 CPUs"),
        ("memory", "1m", "no less than 6 MiB"),
        ("memory", "lots", "lots"),
        ("pids", "1.5", "no whole number"),
        ("pids", "1", "no less than 2 tasks"),
    ],
)
def test_what_no_limit_can_be_is_refused(name: str, text: str, said: str) -> None:
    with pytest.raises(OptionError, match=said) as caught:
        tunable.value(tunable.tunable(name), "--from", text)
    assert caught.value.message.startswith(f"--from {text}")
    assert caught.value.advice


def test_an_unknown_limit_is_answered_with_those_there_are() -> None:
    with pytest.raises(OptionError, match="--limit blkio") as caught:
        tunable.tunable("blkio")
    assert caught.value.advice == "Limits: cpus, memory, pids."


@given(st.sampled_from(sorted(tunable.TUNABLE)), st.floats(1.0, 5000.0))
def test_what_is_tried_is_near_what_was_wanted_and_docker_takes_it(name: str, times: float) -> None:
    limit = tunable.tunable(name)
    wanted = limit.least * times
    fitted = limit.fitted(wanted)
    assert fitted == pytest.approx(wanted, rel=0.25 if name == "pids" else 0.01)
    for key, value in limit.settings(fitted).items():
        option(key).check(value)
    assert limit.words(fitted)
