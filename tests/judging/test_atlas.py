"""Neighbours differ in one thing, and what changes between them is computed from their rows."""

from __future__ import annotations

from typing import Any

from cgbench.judging.atlas import follows, neighbours
from cgbench.records.atlas import AtlasRow
from cgbench.records.verdict import Outcome
from tests.made import atlas_rows

GOOD = {"cpus": Outcome.EFFECTIVE, "cpu-quota": Outcome.EFFECTIVE}


def row(name: str, verdicts: dict[str, Outcome] | None = None, **host: Any) -> AtlasRow:
    return atlas_rows.row(name, verdicts or GOOD, **host)


def test_two_hosts_that_differ_in_one_thing_are_neighbours_the_older_first() -> None:
    newer, older = row("a", runc="1.10.2"), row("b", runc="1.9.5")
    (pair,) = neighbours([newer, older])
    assert (pair.before.name, pair.after.name, pair.part) == ("b", "a", "runtime")
    assert pair.compared == ("cpus", "cpu-quota")
    assert pair.differences == ()


def test_hosts_that_differ_in_nothing_or_in_two_things_are_none() -> None:
    assert neighbours([row("a"), row("b")]) == ()
    assert neighbours([row("a"), row("b", runc="1.4", cgroup="v2")]) == ()


def test_what_was_not_recorded_may_be_anything_and_has_no_neighbours() -> None:
    assert neighbours([row("a"), row("b", systemd=None)]) == ()
    assert neighbours([row("a", systemd=None), row("b", systemd=None)]) == ()
    assert neighbours([row("a", systemd=None), row("b", systemd=None, runc="1.4")]) == ()


def test_an_option_that_comes_out_otherwise_is_told_with_both_reasons() -> None:
    other = GOOD | {"cpu-quota": Outcome.IGNORED}
    (pair,) = neighbours([row("a"), row("b", other, cgroup="v2")])
    (found,) = pair.differences
    assert found.option == "cpu-quota"
    assert (found.before.verdict, found.after.verdict) == (Outcome.EFFECTIVE, Outcome.IGNORED)
    assert "cpus_used was 0.5" in found.before.reason
    assert "nothing changed" in found.after.reason


def test_an_option_that_was_left_open_differs_from_nothing() -> None:
    other = GOOD | {"cpu-quota": Outcome.INCONCLUSIVE}
    (pair,) = neighbours([row("a"), row("b", other, cgroup="v2")])
    assert pair.differences == ()


def test_an_option_that_only_one_of_them_has_is_not_compared() -> None:
    (pair,) = neighbours([row("a"), row("b", {"cpus": Outcome.EFFECTIVE}, kernel="6.12")])
    assert pair.compared == ("cpus",)


def holding(name: str, text: str | None, outcome: Outcome, **host: Any) -> AtlasRow:
    """Return a row whose one value left a text in its file."""
    made = row(name, {"cpu-quota": outcome}, **host)
    (one,) = made.table.rows
    (value,) = one.verdict.values
    files = {
        key: file.model_copy(update={"after": text}) for key, file in value.files.items()
    }  # fmt: skip
    values = (value.model_copy(update={"files": files, "verdict": outcome}),)
    verdict = one.verdict.model_copy(update={"values": values})
    table = made.table.model_copy(update={"rows": (one.model_copy(update={"verdict": verdict}),)})
    return made.model_copy(update={"table": table})


def test_what_a_file_holds_is_told_also_where_the_verdict_is_the_same() -> None:
    before = holding("a", "1500", Outcome.WRONG)
    (pair,) = neighbours([before, holding("b", "2000", Outcome.WRONG, kernel="6.12")])
    assert pair.differences == ()
    (found,) = pair.texts
    assert (found.option, found.value, found.file) == ("cpu-quota", "0.5", "cpu.cfs_quota_us")
    assert (found.before, found.after) == ("1500", "2000")
    (same,) = neighbours([before, holding("b", "1500", Outcome.WRONG, kernel="6.12")])
    assert same.texts == ()


def test_a_text_of_a_value_that_was_left_open_differs_from_nothing() -> None:
    before = holding("a", "1500", Outcome.WRONG)
    after = holding("b", None, Outcome.WRONG, kernel="6.12")
    (open_,) = after.table.rows
    (value,) = open_.verdict.values
    left = value.model_copy(update={"verdict": Outcome.INCONCLUSIVE})
    verdict = open_.verdict.model_copy(update={"values": (left,)})
    table = after.table.model_copy(
        update={"rows": (open_.model_copy(update={"verdict": verdict}),)}
    )
    (pair,) = neighbours([before, after.model_copy(update={"table": table})])
    assert pair.texts == ()
    (told,) = neighbours([before, after])
    assert [one.after for one in told.texts] == [None]


def undone(name: str, *, deep: bool, values: bool = True, **host: Any) -> AtlasRow:
    """Return a row whose one value held, until another option undid it."""
    made = row(name, {"cpu-quota": Outcome.EFFECTIVE}, **host)
    (one,) = made.table.rows
    verdict = one.verdict.model_copy(
        update={
            "verdict": Outcome.REVERTED, "undone_by": ("--cpus 1: cpu.max",),
            "reason": f"took hold, and was undone; before that: {one.verdict.reason}",
            **({} if values else {"values": ()}),
        }
    )  # fmt: skip
    update = {
        "rows": (one.model_copy(update={"verdict": verdict}),),
        "interactions": (object(),) if deep else (),
    }
    return made.model_copy(update={"table": made.table.model_copy(update=update)})


def test_what_one_row_did_not_look_for_is_no_difference_between_hosts() -> None:
    shallow = row("a", {"cpu-quota": Outcome.EFFECTIVE})
    (pair,) = neighbours([shallow, undone("b", deep=True, kernel="6.12")])
    assert (pair.compared, pair.differences) == (("cpu-quota",), ())
    wrong = row("a", {"cpu-quota": Outcome.WRONG})
    (pair,) = neighbours([wrong, undone("b", deep=True, kernel="6.12")])
    (found,) = pair.differences
    assert (found.before.verdict, found.after.verdict) == (Outcome.WRONG, Outcome.EFFECTIVE)
    assert "before that" not in found.after.reason
    # Where both looked, it is one.
    (pair,) = neighbours([shallow, undone("b", deep=False, kernel="6.12")])
    assert [one.after.verdict for one in pair.differences] == [Outcome.REVERTED]
    # And where it cannot be told any more what the values showed, nothing is.
    (pair,) = neighbours([shallow, undone("b", deep=True, values=False, kernel="6.12")])
    assert (pair.compared, pair.differences) == ((), ())


def test_pairs_come_in_the_order_of_the_key() -> None:
    rows = [row("a"), row("b", io_control="none"), row("c", kernel="6.18"), row("d", cgroup="v2")]
    assert [pair.part for pair in neighbours(rows)] == ["kernel", "layout", "io_control"]


def test_a_row_of_todays_rules_follows_and_one_of_others_is_called_so() -> None:
    assert follows(row("a")).good
    assert follows(row("a")).other_rules is None
    other = row("a").model_copy(update={"rules": "0123"})
    assert follows(other).good
    assert follows(other).other_rules == "0123"


def test_a_row_that_contradicts_itself_does_not_follow() -> None:
    one = row("a")
    verdict = one.table.rows[0].verdict.model_copy(update={"verdict": Outcome.WRONG})
    wrong = one.table.rows[0].model_copy(update={"verdict": verdict})
    table = one.table.model_copy(update={"rows": (wrong,)})
    assert not follows(one.model_copy(update={"table": table})).good
