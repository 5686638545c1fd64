"""What a file held: when it took hold, and how much of a restless file is kept."""

from __future__ import annotations

import pytest

from cgbench.records.file_history import FileHistory, Stood


def history(*texts: str | None) -> FileHistory:
    return FileHistory.of([Stood(t_ns=10 * at, text=text) for at, text in enumerate(texts)])


@pytest.mark.parametrize(
    ("texts", "took_hold"),
    [
        (("old",), None),
        (("new",), None),
        (("old", "new"), 10),
        (("old", "else", "new"), 20),
        (("old", "new", "old"), 10),
        (("old", None, "else"), 20),
        (("old", None), None),
        (("new", "old", "new"), None),
    ],
)
def test_a_file_takes_hold_with_the_expected_text_or_else_with_any_new_one(
    texts: tuple[str | None, ...], took_hold: int | None
) -> None:
    assert history(*texts).took_hold_ns("new") == took_hold


def test_without_an_expectation_any_new_text_counts() -> None:
    assert history("old", "else").took_hold_ns(None) == 10


def test_of_a_file_that_is_rewritten_all_the_time_the_first_and_the_last_are_kept() -> None:
    texts = [str(number) for number in range(1000)]
    found = history(*texts)
    assert found.left_out == 1000 - len(found.readings) == 968
    assert found.texts == (*texts[:16], *texts[-16:])
    assert FileHistory.model_validate_json(found.model_dump_json()) == found
