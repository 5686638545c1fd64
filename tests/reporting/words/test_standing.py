"""What does not count is said, with who accepted it until when."""

from __future__ import annotations

from datetime import date

from cgbench.judging.standing import Changed, standing
from cgbench.records.known import Known
from cgbench.records.verdict import Outcome
from cgbench.reporting.words.standing import changed, excuses, lines, needless
from tests.made.truth_tables import table


def test_without_exceptions_and_an_earlier_table_nothing_is_said() -> None:
    assert list(lines(standing(table(Outcome.WRONG, Outcome.EFFECTIVE)))) == []


def test_a_verdict_that_stayed_and_got_worse_is_told_as_such() -> None:
    one = Changed("cpus", Outcome.WRONG, Outcome.WRONG, "worse")
    assert changed(one) == "worse since then: --cpus is wrong as before, and more of it fails"


def test_each_kind_has_its_line() -> None:
    now = table(Outcome.WRONG, Outcome.IGNORED, Outcome.EFFECTIVE, Outcome.DISCARDED)
    was = table(Outcome.EFFECTIVE, Outcome.IGNORED, Outcome.WRONG, Outcome.DISCARDED)
    first, second, third, fourth = (row.verdict.option for row in now.rows)
    known = [
        Known(option=option, verdict=verdict, reason="nobody sets it", until=date(year, 1, 1))
        for option, verdict, year in (
            (second, Outcome.IGNORED, 2027), (fourth, Outcome.DISCARDED, 2025),
            (third, Outcome.WRONG, 2027),
        )
    ]  # fmt: skip
    found = standing(now, known, date(2026, 1, 1), was)
    assert list(lines(found)) == [
        f"worse since then: --{first} effective → wrong",
        f"better since then: --{third} wrong → effective",
        f"--{fourth}: as before",
        f"--{second}: ignored is known until 2027-01-01: nobody sets it",
        f"--{fourth}: discarded was known until 2025-01-01, which is over: nobody sets it",
        f"--{third}: wrong is known, and it has another verdict now: remove the entry",
    ]
    assert excuses(found) == {
        fourth: "as in the earlier table",
        second: "known until 2027-01-01: nobody sets it",
    }


def test_an_entry_of_an_option_that_fails_otherwise_is_not_to_be_removed() -> None:
    now = table(Outcome.WRONG, Outcome.EFFECTIVE)
    until = date(2027, 1, 1)
    known = [
        Known(option=row.verdict.option, verdict=Outcome.IGNORED, reason="old", until=until)
        for row in now.rows
    ]
    first, second = needless(standing(now, known, date(2026, 1, 1)))
    assert first.endswith("it has another verdict now: change the entry, or mend it")
    assert second.endswith("it has another verdict now: remove the entry")
