"""Who is unlike its group: only against what most have, and never by what was left open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from cgbench.judging import fleet
from cgbench.records.audit import Audit, Audited, Bound, Found, Limit
from cgbench.records.comparison import Comparison, Judgement
from cgbench.records.truth import TruthTable
from cgbench.records.verdict import Outcome
from tests.made import atlas_rows, records, sides

GOOD = {"cpus": Outcome.EFFECTIVE, "cpu-quota": Outcome.EFFECTIVE}
UNLIKE = GOOD | {"cpu-quota": Outcome.IGNORED}
OPEN = GOOD | {"cpu-quota": Outcome.INCONCLUSIVE}


def tables(**verdicts: Mapping[str, Outcome]) -> dict[str, TruthTable]:
    return {name: atlas_rows.table(dict(one)) for name, one in verdicts.items()}


def untagged(named: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(named, ())


def test_a_host_whose_verdict_most_others_do_not_have_departs_with_its_reason() -> None:
    found = fleet.of_tables(there := tables(a=GOOD, b=UNLIKE, c=GOOD), untagged(there))
    (one,) = found.departures
    assert (one.host, one.of, one.subject) == ("b", "verdict", "cpu-quota")
    assert (one.own, one.usual, one.like, one.number) == ("ignored", "effective", 2, 3)
    assert "nothing changed" in one.why
    assert found.outliers == ("b",)


def test_of_two_hosts_neither_is_unlike_the_other() -> None:
    found = fleet.of_tables(there := tables(a=GOOD, b=UNLIKE), untagged(there))
    assert found.departures == ()
    (group,) = found.groups
    (split,) = group.splits
    assert (split.subject, dict(split.values)) == ("cpu-quota", {"effective": 1, "ignored": 1})
    assert group.usual == {"cpus": Outcome.EFFECTIVE}


def test_two_against_two_say_nothing_of_either() -> None:
    there = tables(a=GOOD, b=UNLIKE, c=GOOD, d=UNLIKE)
    found = fleet.of_tables(there, untagged(there))
    assert found.departures == ()
    assert found.groups[0].splits


def test_what_was_left_open_departs_from_nothing_and_is_counted() -> None:
    there = tables(a=GOOD, b=OPEN, c=GOOD, d=GOOD)
    found = fleet.of_tables(there, untagged(there))
    assert found.departures == ()
    assert found.groups[0].left_open == {"cpu-quota": 1}
    assert found.groups[0].usual["cpu-quota"] is Outcome.EFFECTIVE


def test_what_most_left_open_is_nobodys_usual_verdict() -> None:
    there = tables(a=OPEN, b=OPEN, c=OPEN, d=UNLIKE)
    found = fleet.of_tables(there, untagged(there))
    assert found.departures == ()


def test_hosts_of_other_kernels_are_not_of_one_group() -> None:
    there = tables(a=GOOD, b=GOOD, c=GOOD)
    there["d"] = atlas_rows.table(UNLIKE, kernel="7.2.1")
    found = fleet.of_tables(there, untagged(there))
    assert [len(group.hosts) for group in found.groups] == [3, 1]
    # Its verdict is its kernel's; that its kernel is another one is what it departs in.
    assert [(one.host, one.of, one.subject) for one in found.departures] == [
        ("d", "host", "kernel")
    ]


def test_a_host_is_unlike_those_that_it_shares_a_tag_with() -> None:
    hosts = {name: records.host() for name in "abc"} | {"x": records.host(runc="1.4.9")}
    tags = {"a": ("web",), "b": ("web",), "c": ("web",), "x": ("db",)}
    assert fleet.of_hosts(hosts, tags) == []
    (one,) = fleet.of_hosts(hosts, tags | {"x": ("web",)})
    assert (one.host, one.subject, one.own) == ("x", "runtime", "runc 1.4.9")


def test_the_host_that_departs_in_most_comes_first() -> None:
    worst = {"cpus": Outcome.IGNORED, "cpu-quota": Outcome.IGNORED}
    there = tables(a=UNLIKE, b=GOOD, c=GOOD, d=GOOD, z=worst)
    assert fleet.of_tables(there, untagged(there)).outliers == ("z", "a")


def audit(effective: float | None, finding: Found = Found.IN_FORCE) -> Audit:
    limit = Limit(
        limit="memory", declared=effective, expected={}, files={}, effective=effective,
        bound_by=Bound(kind="container"), felt={}, finding=finding, reason="so it is",
    )  # fmt: skip
    one = Audited(
        id="1" * 64, name="api", image="api:1", state="running", manager=None, limits=(limit,)
    )
    return Audit(hostname="h", at="2026-11-27T10:00:00+00:00", seconds=0.1, containers=(one,))


def test_a_limit_that_is_another_one_on_one_host_is_found() -> None:
    there = {"a": audit(2**29), "b": audit(2**29), "c": audit(2**30)}
    (one,) = fleet.of_audits(there, {}, untagged(there)).departures
    assert (one.host, one.of, one.subject) == ("c", "limit", "api: memory")
    assert one.own == "1073741824, in force"
    assert one.usual == "536870912, in force"


def test_a_limit_without_a_usual_value_is_told_as_such() -> None:
    there = {name: audit(2.0 ** (20 + at)) for at, name in enumerate("abc")}
    found = fleet.of_audits(there, {}, untagged(there))
    assert found.departures == ()
    assert found.splits[0].subject == "api: memory"


def judged(found: Comparison, judgement: Judgement) -> Comparison:
    """Return a comparison of which every finding has one judgement."""
    findings = tuple(
        one.model_copy(update={"judgement": judgement, "reason": "so it is"})
        for one in found.findings[:1]
    )
    return found.model_copy(update={"findings": findings})


def test_a_host_whose_metric_went_another_way_departs_from_the_others() -> None:
    base = sides.mixed()
    there = {name: [judged(base, Judgement.UNCHANGED)] for name in "abc"}
    there["d"] = [judged(base, Judgement.REGRESSED)]
    there["e"] = [judged(base, Judgement.INCONCLUSIVE)]
    (one,) = fleet.of_gates(there, {}, untagged(there)).departures
    assert (one.host, one.own, one.usual, one.number) == ("d", "regressed", "unchanged", 4)
    assert one.why == "so it is"


@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_the_usual_value_is_that_of_more_than_half(values: list[str]) -> None:
    found = fleet.usual(values)
    counts = Counter(values)
    most = max(counts.values(), default=0)
    if found is None:
        assert len(values) < 3 or 2 * most <= len(values)
    else:
        assert counts[found[0]] == found[1] > len(values) / 2
