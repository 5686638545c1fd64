"""What differs between hosts: each layer of it, and nothing that only looks different."""

from __future__ import annotations

from cgbench.records.idle_findings import Meeting
from cgbench.records.truth import Row, TruthTable
from cgbench.records.verdict import Declared, Enforced, Outcome
from cgbench.reporting.words.host_differences import (
    HostDifference,
    fact_differences,
    option_differences,
)
from cgbench.spec.options import OPTIONS
from tests.made.records import HOST
from tests.made.truth_tables import attempt, meeting, row, table, unseen, verdict

EFFECTIVE, IGNORED = Outcome.EFFECTIVE, Outcome.IGNORED


def of(*rows: Row, interactions: tuple[object, ...] = ()) -> TruthTable:
    return table().model_copy(update={"rows": rows, "interactions": interactions})


def found(one: TruthTable, other: TruthTable) -> list[HostDifference]:
    return [each for option in option_differences([one, other]) for each in option.found]


def test_equal_tables_differ_in_nothing() -> None:
    one = table(EFFECTIVE, IGNORED)
    assert option_differences([one, one]) == []
    assert option_differences([one]) == []


def test_a_verdict_is_shown_for_each_host() -> None:
    one, other = table(EFFECTIVE, EFFECTIVE, bare=True), table(EFFECTIVE, IGNORED, bare=True)
    (only,) = option_differences([one, other, one])
    assert (only.option, only.flag) == ("cpu-quota", "--cpu-quota")
    (difference,) = only.found
    assert difference.verdict
    assert difference.texts == ("effective", "ignored", "effective")


def test_options_come_in_the_registrys_order() -> None:
    many = (EFFECTIVE,) * len(OPTIONS), (IGNORED,) * len(OPTIONS)
    differences = option_differences([table(*many[0], bare=True), table(*many[1], bare=True)])
    assert [one.option for one in differences] == list(OPTIONS)


def test_what_only_one_host_measured_is_no_difference() -> None:
    one = table(EFFECTIVE, EFFECTIVE)
    assert option_differences([one, table(EFFECTIVE)]) == []
    assert found(of(row("cpus", EFFECTIVE)), of(Row(verdict=verdict("cpus", EFFECTIVE)))) == []


def test_files_of_other_names_and_other_figures_are_no_difference() -> None:
    one = verdict("memory", EFFECTIVE)
    v2 = Enforced(before="max", after="67108864", expected="67108864")
    other = verdict("memory", EFFECTIVE, error_pct=-1.0).model_copy(
        update={"enforced": {"memory.max": v2}}
    )
    assert found(of(Row(verdict=one)), of(Row(verdict=other))) == []


def test_dockers_answers_are_compared_by_kind_and_not_by_number() -> None:
    def answering(accepted: int, *, refused: bool = False, warned: bool = False) -> TruthTable:
        said = Declared(accepted=accepted, refused=("no",) * refused, warnings=("hm",) * warned)
        return of(Row(verdict=unseen("cpus", EFFECTIVE).model_copy(update={"declared": said})))

    assert found(answering(2), answering(5)) == []
    assert found(answering(0), answering(5)) == []
    assert found(answering(2), answering(2, warned=True)) == [
        HostDifference("Docker's answers", ("accepted", "accepted with a warning"))
    ]
    (one,) = found(answering(2, refused=True), answering(0, refused=True))
    assert one.texts == ("accepted, some values refused", "refused")


def test_a_bound_that_ends_otherwise_is_shown_with_its_command() -> None:
    base = Row(verdict=verdict("cpus", EFFECTIVE))
    sly = base.model_copy(update={"bounds": (attempt("cpus", outcome="rejected"),)})
    plain = base.model_copy(
        update={"bounds": (attempt("cpus", outcome="rejected", changed=False),)}
    )
    assert found(of(sly), of(plain)) == [
        HostDifference(
            "`docker update --cpus 1`", ("refused, and yet something changed", "refused")
        )
    ]


def test_bounds_that_differ_alike_share_one_line() -> None:
    def bounded(outcome: str) -> TruthTable:
        tried = [attempt("cpus", outcome=outcome).model_copy(update={"tried": text, "lifted": None})
                 for text in ("1", "2", "")]  # fmt: skip
        return of(Row(verdict=verdict("cpus", EFFECTIVE), bounds=tuple(tried)))

    (one,) = found(bounded("accepted"), bounded("warned"))
    assert one.what == (
        "`docker update --cpus 1`, `docker update --cpus 2` and `docker update --cpus (empty)`"
    )
    assert one.texts == ("accepted", "accepted with a warning")


def test_lifting_survival_and_birth_are_compared() -> None:
    one = row("cpus", EFFECTIVE)
    lifts = tuple(each.model_copy(update={"lifted": True}) for each in one.bounds)
    same = one.born_vs_changed[0].model_copy(update={"same": True, "differences": ()})
    assert one.survival is not None
    back = one.survival.stages[1].model_copy(update={"running": True, "survived": True})
    survival = one.survival.model_copy(update={"stages": (one.survival.stages[0], back)})
    other = one.model_copy(
        update={"bounds": lifts, "born_vs_changed": (same,), "survival": survival}
    )
    differences = {each.what: each.texts for each in found(of(one), of(other))}
    assert differences["lifted again"] == ("by no update that was tried", "by an update")
    assert differences["born with it"] == (
        "not the same as updated to it",
        "the same as updated to it",
    )
    assert differences["after a restart"][1] == "survived"
    assert "after a pause" not in differences


def test_pairs_that_end_otherwise_are_shown_with_the_first() -> None:
    rows = tuple(Row(verdict=unseen(name, EFFECTIVE)) for name in ("cpus", "memory"))
    calm = of(*rows, interactions=(meeting("cpus", "memory", Meeting.INDEPENDENT),))
    wild = of(*rows, interactions=(meeting("cpus", "memory", Meeting.DISTURBED),))
    (one,) = option_differences([calm, wild])
    assert one.option == "cpus"
    assert one.found == (
        HostDifference("set first, then `--memory`", ("independent", "disturbed")),
    )
    assert option_differences([calm, of(*rows)]) == []


def test_facts_that_are_the_same_are_left_out() -> None:
    other = HOST.model_copy(
        update={"cgroup": "v2", "cgroup_driver": "systemd", "swap_bytes": 2**30}
    )
    assert fact_differences([HOST, HOST]) == []
    assert fact_differences([HOST, other]) == [
        HostDifference("cgroup", ("v1, cgroupfs driver", "v2, systemd driver")),
        HostDifference("Swap", ("none", "1 GiB")),
    ]
