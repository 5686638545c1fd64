"""What is shown of programs of one's own, of which nothing can be expected."""

from __future__ import annotations

from collections.abc import Collection

from cgbench.spec.experiment import Experiment

SPIKE, FAILED, RECOVERED = "spike_ms", "spike_failed", "recovered_ms"
"""What clients feel of a change itself."""

FIGURES = (
    "latency_p99_ms", "latency_p50_ms", "requests_per_s", "failed_pct", "spike_ms", "recovered_ms",
    "reported_rate_per_s", "reported_p99_ms", "reported_p50_ms", "reported_mean_ms",
    "reported_max_ms", "reported_duration_s", "reported_cpus",
)  # fmt: skip
"""The metrics that say how a program fares, the one that says most first."""


def own_metric(experiment: Experiment, measured: Collection[str]) -> str | None:
    """Return what says most of how the programs of an experiment fare, None where it has none."""
    if not experiment.programs:
        return None
    return next((name for name in FIGURES if name in measured), None)
