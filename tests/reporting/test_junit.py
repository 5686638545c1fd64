"""JUnit XML: what fails, what is skipped, and that every text can stand in it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.records.comparison import Comparison, Judgement
from cgbench.records.truth import Row, TruthTable
from cgbench.records.verdict import NOT_IN_FORCE, Outcome
from cgbench.reporting import junit
from cgbench.reporting.words import comparison
from cgbench.spec.options import OPTIONS
from tests.made import sides, truth_tables
from tests.made.records import HOST
from tests.made.sides import HOSTILE


@pytest.fixture(scope="module")
def mixed() -> Comparison:
    return sides.mixed()


def table(*outcomes: Outcome, reason: str = "why <not> & how") -> TruthTable:
    rows = tuple(
        Row(verdict=truth_tables.unseen(option, outcome).model_copy(update={"reason": reason}))
        for option, outcome in zip(OPTIONS, outcomes, strict=False)
    )
    return TruthTable(host=HOST, started="2026-01-01T00:00:00+00:00", elapsed_s=1.5, rows=rows)


def test_options_not_in_force_fail_and_undecided_ones_are_skipped() -> None:
    suite = ET.fromstring(junit.of_truth(table(*Outcome)))
    assert suite.get("tests") == str(len(Outcome))
    assert suite.get("failures") == str(len(NOT_IN_FORCE)) == str(len(suite.findall("*/failure")))
    assert suite.get("skipped") == "2" == str(len(suite.findall("*/skipped")))
    (failure, *_) = suite.findall("*/failure")
    assert "<not> & how" in str(failure.get("message"))


@given(st.text(max_size=40))
def test_every_text_gives_a_file_that_can_be_read(reason: str) -> None:
    suite = ET.fromstring(junit.of_truth(table(Outcome.IGNORED, reason=reason)))
    assert suite.find("*/failure") is not None


def suites(*many: Comparison) -> list[ET.Element]:
    return list(ET.fromstring(junit.of_comparisons(many)))


def test_junit_fails_regressions_and_skips_what_is_undecided(mixed: Comparison) -> None:
    (suite,) = suites(mixed)
    cases = {case.attrib["name"]: case for case in suite}
    assert suite.attrib["name"] == mixed.experiment
    assert int(suite.attrib["tests"]) == len(cases) == len(mixed.findings)
    for one in mixed.findings:
        case = cases[comparison.where(one)]
        failed, skipped = case.find("failure"), case.find("skipped")
        assert (failed is not None) == (one.judgement is Judgement.REGRESSED)
        assert (skipped is not None) == (one.judgement is Judgement.INCONCLUSIVE)
        if failed is not None:
            assert failed.attrib["message"] == comparison.regression(one, mixed.level)
    assert suite.attrib["failures"] == str(len(mixed.of(Judgement.REGRESSED)))
    assert suite.attrib["skipped"] == str(len(mixed.of(Judgement.INCONCLUSIVE)))


def test_junit_of_a_forbidden_comparison_is_one_skipped_case() -> None:
    (suite,) = suites(sides.forbidden())
    (case,) = suite
    skipped = case.find("skipped")
    assert skipped is not None
    assert HOSTILE in skipped.attrib["message"]
    assert (suite.attrib["tests"], suite.attrib["skipped"]) == ("1", "1")


def test_junit_has_a_suite_per_comparison(mixed: Comparison) -> None:
    assert len(suites(mixed, sides.forbidden())) == 2
