"""By which metric an option is judged: the file's own, or the one that shows what it does."""

from __future__ import annotations

import pytest

from cgbench.errors import ExperimentError
from cgbench.spec import experiment_file, judged
from cgbench.spec.band import Band
from cgbench.spec.experiment import Experiment
from cgbench.spec.metrics import METRICS
from cgbench.spec.options import KNOWN

FILE = """\
name = "mine"
title = "Mine"
question = "What happens?"
option = "cpu-quota"

[[containers]]
role = "worker"
workload = "spin"

[[steps]]
set = { cpu-quota = 50000 }
hold = "2s"
"""


def parsed(tables: str) -> Experiment:
    """Parse a good file with more tables."""
    return experiment_file.parse(f"{FILE}\n{tables}", "mine.toml")


def test_every_option_is_judged_by_metrics_that_exist_or_by_its_file_alone() -> None:
    assert set(judged.JUDGED_BY) == set(KNOWN)
    assert {name for names in judged.JUDGED_BY.values() for name in names} <= set(METRICS)


def test_what_an_option_is_judged_by_shows_a_limit() -> None:
    assert all(
        METRICS[name].shows != "none" for names in judged.JUDGED_BY.values() for name in names
    )


def test_without_a_table_an_option_is_judged_by_what_shows_its_effect() -> None:
    assert judged.candidates(parsed(""), "cpu-quota") == ("cpus_used",)
    assert judged.band(parsed(""), "cpu-quota", "cpus_used") == METRICS["cpus_used"].band


def test_the_first_candidate_that_was_measured_counts() -> None:
    moves = experiment_file.load("cpuset-cpus-moves")
    assert judged.judged_metric(moves, "cpuset-cpus", {"off_mask_pct"}) == "off_mask_pct"
    both = {"off_mask_pct", "off_mask_cpu_ms"}
    assert judged.judged_metric(moves, "cpuset-cpus", both) == "off_mask_cpu_ms"
    assert judged.judged_metric(moves, "cpuset-cpus", {"cpus_used"}) is None
    assert judged.judged_metric(moves, "cpuset-mems", {"cpus_used"}) is None


def test_a_set_is_judged_also_by_whether_all_of_it_is_used_unless_its_file_names_a_metric() -> None:
    assert judged.besides(parsed(""), "cpuset-cpus") == ("set_cpus_used",)
    assert judged.besides(parsed(""), "cpu-quota") == ()
    own = parsed('[verify]\noptions = ["cpuset-cpus"]\nmetric = "cpus_used"')
    assert judged.besides(own, "cpuset-cpus") == ()


def test_a_file_names_a_metric_and_a_band_of_its_own_for_its_options_only() -> None:
    own = parsed('[verify]\noptions = ["cpu-quota"]\nmetric = "probe_cpus"\nband = { pct = 7 }')
    assert judged.candidates(own, "cpu-quota") == ("probe_cpus",)
    assert judged.band(own, "cpu-quota", "probe_cpus") == Band(pct=7)
    assert judged.band(own, "cpu-quota", "cpus_used") == METRICS["cpus_used"].band
    assert judged.candidates(own, "cpu-period") == ("cpus_used",)


@pytest.mark.parametrize(
    ("tables", "message", "advice"),
    [
        ('[gate]\nmetrics = ["cpus_used", "cpus_usd"]',
         "mine.toml: gate.metrics: unknown metric 'cpus_usd'", "Did you mean cpus_used?"),
        ('[verify]\noptions = ["cpu-quota"]\nmetric = "cpu_share"',
         "mine.toml: verify.metric: unknown metric 'cpu_share'", "Did you mean cpu_share_pct?"),
        ('[verify]\noptions = ["cpu-quota"]\nmetric = "cpus_used"\notherwise = "probe_cpu"',
         "mine.toml: verify.otherwise: unknown metric 'probe_cpu'", "Did you mean probe_cpus?"),
        ('[verify]\noptions = ["cpu-quota"]\notherwise = "probe_cpus"',
         "mine.toml: verify.otherwise: there is no verify.metric that it could replace",
         "Name it metric."),
        ('[verify]\noptions = ["cpu-quota"]\nband = { pct = 2, ms_per_period = 1 }',
         "mine.toml: verify.band.ms_per_period: a band holds for a whole phase, not per period",
         "Write ticks_per_worker = 1, or leave the band out: each metric has its own."),
        ('[verify]\noptions = ["cpu-quota"]\nband = { pages_per_cpu = 4 }',
         "mine.toml: verify.band.pages_per_cpu: cpus_used is in CPUs, and this is for bytes",
         "Leave it out; pct is of the expected value."),
        ('[verify]\noptions = ["cpu-quota"]\nband = { pcts = 4 }',
         "mine.toml: unknown key verify.band.pcts",
         "Did you mean pct? For example: band = { pct = 2.0 }"),
        ('[gate]\nmetric = ["cpus_used"]',
         "mine.toml: unknown key gate.metric",
         'Did you mean metrics? For example: metrics = ["cpus_used", "stall_p99_ms"]'),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused_when_the_file_is_read(
    tables: str, message: str, advice: str
) -> None:
    with pytest.raises(ExperimentError) as caught:
        parsed(tables)
    assert (caught.value.message, caught.value.advice) == (message, advice)


def test_a_stored_run_may_name_a_metric_of_another_version() -> None:
    stored = parsed('[gate]\nmetrics = ["cpus_used"]').model_dump(mode="json")
    stored["gate"]["metrics"] = ["of_tomorrow"]
    assert Experiment.model_validate(stored).gate is not None
