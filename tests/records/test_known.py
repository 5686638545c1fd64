"""A file of accepted verdicts is read whole, or refused with the key and what to write."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from cgbench.errors import StoreError
from cgbench.records import known
from cgbench.records.verdict import Outcome

GOOD = """
[[known]]
option = "--kernel-memory"
verdict = "discarded"
reason = "nobody sets it"
until = 2027-06-30
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "known.toml"
    path.write_text(text)
    return path


def test_an_entry_names_option_verdict_reason_and_day(tmp_path: Path) -> None:
    (one,) = known.read(written(tmp_path, GOOD))
    assert (one.option, one.verdict) == ("kernel-memory", Outcome.DISCARDED)
    assert (one.reason, one.until) == ("nobody sets it", date(2027, 6, 30))


def test_a_file_may_be_empty(tmp_path: Path) -> None:
    assert known.read(written(tmp_path, "")) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("--kernel-memory", "kernel-memry"), "unknown option: kernel-memry"),
        (GOOD.replace('"discarded"', '"dropped"'), "known.0.verdict"),
        (GOOD.replace("until = 2027-06-30", ""), "known.0.until"),
        (GOOD.replace("2027-06-30", '"never"'), "known.0.until"),
        (GOOD.replace("nobody sets it", ""), "known.0.reason"),
        (GOOD + GOOD, "--kernel-memory is there twice"),
        (GOOD.replace("reason", "because"), "known.0.because: there is no such key"),
        (GOOD.replace('"discarded"', '"effective"'), "effective counts for nothing"),
        ("known = 1", "known"),
        ("[[known]", "line 1"),
    ],
)
def test_what_is_no_such_file_is_refused_by_name_and_key(
    text: str, message: str, tmp_path: Path
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(StoreError) as refused:
        known.read(path)
    assert str(path) in refused.value.message
    assert message in refused.value.message
    assert refused.value.advice


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot read .*absent"):
        known.read(tmp_path / "absent")
