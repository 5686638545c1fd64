"""Comparisons in words: one sentence for a log, the next move, the remarks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cgbench.judging.comparison import compare
from cgbench.records.comparison import Comparison, Disturbance, Judgement
from cgbench.reporting.words import comparison
from tests.made import sides
from tests.made.sides import HOSTILE

STEADY = sides.side(steady=sides.STEADY[:2])


@pytest.fixture(scope="module")
def mixed() -> Comparison:
    return sides.mixed()


def test_the_headline_counts_judgements_and_names_both_sides(mixed: Comparison) -> None:
    text = comparison.headline(mixed)
    assert text.startswith("cpu-quota-sweep: regressed, 20260102T000000Z-0002 against base: ")
    counted = {one: len(mixed.of(one)) for one in Judgement if mixed.of(one)}
    for one, number in counted.items():
        assert f"{number} {one.value}" in text
    assert sum(counted.values()) == len(sides.STEADY)


def test_the_headline_names_what_forbids_a_comparison() -> None:
    text = comparison.headline(sides.forbidden())
    assert f"incomparable, other against base: hostname was made-up, is {HOSTILE}" in text
    assert "kernel" not in text, "what is allowed forbids nothing"


def test_nothing_measured_is_reported(mixed: Comparison) -> None:
    empty = mixed.model_copy(update={"findings": ()})
    assert comparison.headline(empty).endswith(": nothing measured")


def test_a_regression_names_option_step_container_metric_size_and_confidence(
    mixed: Comparison,
) -> None:
    (one,) = mixed.of(Judgement.REGRESSED)
    text = comparison.regression(one, mixed.level)
    assert one.change_pct is not None
    assert text.startswith("--cpu-quota 50000 · worker · cpus_used: ")
    assert f"{one.change_pct:+.1f} % ({one.low_pct:+.1f} to {one.high_pct:+.1f}) at 95 %" in text
    assert "10 against 10 trials" in text
    assert "cpus_used: 0.499 → 0.469 CPUs, -" in text
    assert text.count("p = ") == 1, "the p-value is shown once"


def test_a_regression_tells_p_where_its_reason_does_not(mixed: Comparison) -> None:
    (one,) = mixed.of(Judgement.REGRESSED)
    bare = one.model_copy(update={"reason": "10 of 10 trials lie outside", "p": 0.0004})
    assert ", p = 0.0004, " in comparison.regression(bare, 0.95)
    unknown = bare.model_copy(update={"p": None})
    assert "p = " not in comparison.regression(unknown, 0.95)


def test_equal_remarks_are_made_once(mixed: Comparison) -> None:
    """Met by a new user: nine equal notes, one beneath the other."""
    stolen = [Disturbance(repetition=at, reason="0.3 CPUs were stolen", kept=True) for at in (1, 4)]
    other = Disturbance(repetition=2, reason="0.3 CPUs were stolen", kept=False)
    found = mixed.model_copy(
        update={"disturbances": (*stolen, other), "notes": ("one", "one"), "differences": ()}
    )
    assert comparison.remarks(found) == [
        "trials 1, 4 kept: 0.3 CPUs were stolen",
        "trial 2 measured again: 0.3 CPUs were stolen",
        "one",
    ]


def test_the_medians_of_both_sides_have_their_unit_once_where_it_is_one(mixed: Comparison) -> None:
    (one,) = mixed.of(Judgement.REGRESSED)
    sizes = {
        "unit": "bytes",
        "baseline": (2.0**20,),
        "candidate": (2.0**26, 2.0**26),
        "levels": None,
    }
    assert comparison.levels(one.model_copy(update=sizes)) == "1 → 64 MiB"
    sizes["baseline"] = (2.0**10,)
    assert comparison.levels(one.model_copy(update=sizes)) == "1 KiB → 64 MiB"
    assert comparison.levels(one.model_copy(update={"candidate": (), "levels": None})) == "–"


def test_how_a_value_was_set_is_shown_where_it_was_not_by_update(mixed: Comparison) -> None:
    one = mixed.findings[0].model_copy(update={"via": "cgroupfs"})
    assert comparison.where(one).startswith("--cpu-quota 50000 (cgroupfs) · worker")


def test_a_change_without_an_interval_is_a_dash(mixed: Comparison) -> None:
    one = mixed.findings[0].model_copy(update={"low_pct": None})
    assert comparison.change(one) == "–"


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (sides.forbidden, "--allow hostname"),
        (sides.mixed, None),
        (
            lambda: compare(sides.side(trials=2), sides.side("few", trials=2)),
            "about 1 more trial a side",
        ),
        (lambda: compare(STEADY, STEADY), None),
    ],
)
def test_advice_is_the_next_move_or_nothing(
    made: Callable[[], Comparison], text: str | None
) -> None:
    advice = comparison.advice(made())
    assert advice is None if text is None else text in (advice or "")


def test_remarks_tell_disturbed_trials_and_notes(mixed: Comparison) -> None:
    found = mixed.model_copy(
        update={
            "disturbances": (
                Disturbance(repetition=3, reason="busy", kept=False),
                Disturbance(repetition=4, reason="busy", kept=True),
            ),
            "notes": ("noted",),
        }
    )
    assert comparison.remarks(found) == [
        "trial 3 measured again: busy", "trial 4 kept: busy", "noted",
    ]  # fmt: skip
