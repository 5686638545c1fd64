"""What older files said otherwise is read as today's files say it."""

from __future__ import annotations

import json

import pytest

from cgbench.records.baseline import Series
from cgbench.records.run import PointKey
from cgbench.records.trial import Change, TrialRecord
from tests.made.records import trial


@pytest.mark.parametrize(
    ("written", "value", "note"),
    [
        ("512", "512", None),
        ("512 joins", "512", "joins"),
        ("512 against two", "512", "against two"),
        ("0-1, 3 moved", "0-1, 3", "moved"),
    ],
)
def test_a_note_behind_the_value_of_a_change_is_read_apart_from_it(
    written: str, value: str, note: str | None
) -> None:
    document = {"requested": written, "settings": {"memory": "64m", "cpu-shares": value},
                "via": "update", "t_request_ns": 1, "t_answer_ns": 2}  # fmt: skip
    change = Change.model_validate_json(json.dumps(document))
    assert (change.requested, change.note) == (value, note)


def test_a_value_that_begins_like_another_is_not_cut_short() -> None:
    document = {"requested": "50 000", "settings": {"cpus": "50", "cpu-quota": "50 000"},
                "via": "update", "t_request_ns": 1, "t_answer_ns": 2}  # fmt: skip
    assert Change.model_validate(document).requested == "50 000"


def test_a_line_of_today_is_taken_as_it_is() -> None:
    back = TrialRecord.model_validate_json(trial().model_dump_json())
    assert back.phases[0].change.note is None
    change = trial().phases[0].change.model_copy(update={"requested": "50000 x", "note": "joins"})
    assert Change.model_validate_json(change.model_dump_json()) == change


def test_a_series_of_an_older_baseline_is_the_same_point_as_that_of_a_newer_one() -> None:
    older = {"role": "small", "option": "cpu-shares", "via": "update", "requested": "512 joins",
             "metric": "cpu_share_pct", "unit": "%", "values": [33.3]}  # fmt: skip
    newer = older | {"requested": "512", "note": "joins"}
    assert Series.model_validate(older) == Series.model_validate(newer)
    assert Series.model_validate(older).point == PointKey(
        "small", "cpu-shares", "update", "512", "joins"
    )
