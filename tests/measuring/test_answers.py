"""What the prober noted of requests: the reason of a failure in words, and how long one waits."""

from __future__ import annotations

import errno

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.measuring.answers import reason, settled

NOW, TIMEOUT = 10_000, 400


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, None),
        (errno.ECONNREFUSED, "connection refused"),
        (errno.ECONNRESET, "connection reset by peer"),
        (errno.EMFILE, "too many open files"),
        (errno.ETIMEDOUT, "no answer in time"),
        (errno.ENODATA, "connection closed before a whole answer"),
        (errno.EPROTO, "malformed answer"),
        (-503, "status 503"),
        (99_999, "unknown"),
        (-(2**63), "unknown"),
        (2**63 - 1, "unknown"),
    ],
)
def test_a_failure_has_words(code: int, words: str | None) -> None:
    assert reason(code) == words


@given(st.integers(-(2**63), 2**63 - 1))
def test_whatever_stands_there_it_is_one_short_line(code: int) -> None:
    said = reason(code)
    assert (said is None) == (code == 0)
    assert said is None or (0 < len(said) < 80 and said.isprintable())


def test_what_still_waits_has_the_time_so_far_and_what_waits_too_long_has_failed() -> None:
    begin = np.array([9_000, 9_601, 9_700, 9_800, 10_000])
    length, waiting = settled(begin, np.array([0, -1, 250, -1, -1]), NOW, TIMEOUT)
    # What was due this very moment has waited, and has not failed.
    assert length.tolist() == [0, 399, 250, 200, 1]
    assert waiting == 3
    assert settled(np.array([9_600]), np.array([-1]), NOW, TIMEOUT)[0].tolist() == [0]
