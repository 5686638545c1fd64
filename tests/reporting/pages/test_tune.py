"""The page and the words of a search for the smallest sufficient limit."""

from __future__ import annotations

from cgbench.records.tune import Tuned, Verdict
from cgbench.reporting.pages.tune import TunePage
from cgbench.reporting.words import tune as words
from tests.made import searches
from tests.made.searches import Program20ms


def test_the_page_says_what_to_type_and_how_sure_that_is() -> None:
    found = searches.found()
    page = TunePage(found)
    assert page.headline.startswith("shop meets latency")
    assert page.flags == f"--cpus {found.suggested:g}"
    assert page.knee is not None
    assert "95 % certainty" in page.knee
    assert len(page.rows) == len(found.observations)
    assert {row.word for row in page.rows} == {"met", "missed"}


def test_every_phase_is_drawn_and_the_knee_and_the_target_with_them() -> None:
    found = searches.found()
    plots = TunePage(found).plots()
    assert set(plots) == {"tune-metric", "tune-chance", "tune-felt"}
    metric = plots["tune-metric"]
    marks = [one for one in metric.data if one["mode"] == "markers"]
    assert sum(len(one["x"]) for one in marks) == len(found.observations)
    assert len(metric.layout["shapes"]) == 2
    shares = plots["tune-chance"].data[1]["y"]
    assert set(shares) <= {0.0, 100.0}


def test_without_a_suggestion_none_is_typed() -> None:
    for live, said in (
        (Program20ms(50.0), "with no limit that was tried"),
        (Program20ms(0.001), "with every limit that was tried"),
    ):
        found = searches.found(live)
        assert said in words.headline(found)
        assert TunePage(found).plots()
    none = searches.found(Program20ms(50.0))
    assert words.flags(none) is None
    assert not any("suggested" in line for line in words.lines(none))


def test_what_is_open_is_said_so() -> None:
    update = {"verdict": Verdict.UNDECIDED, "suggested": None, "margin_pct": None}
    found: Tuned = searches.found().model_copy(update=update)
    assert "is not decided" in words.headline(found)
    assert not any("--cpus" in line for line in words.lines(found))
