"""By which metric, and within which band, an experiment judges an option."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cgbench.errors import ExperimentError
from cgbench.spec.band import Band
from cgbench.spec.experiment import Experiment
from cgbench.spec.metric import Metric
from cgbench.spec.metrics import METRICS, nearest

JUDGED_BY: Mapping[str, tuple[str, ...]] = {
    "cpus": ("cpus_used",),
    "cpu-quota": ("cpus_used",),
    "cpu-period": ("cpus_used",),
    "cpu-shares": ("cpu_share_pct",),
    "cpuset-cpus": ("off_mask_cpu_ms", "off_mask_pct"),
    "cpuset-mems": ("off_nodes_bytes",),
    "cpu-rt-period": (),
    "cpu-rt-runtime": (),
    "memory": ("memory_max_bytes",),
    "memory-swap": ("memory_swap_max_bytes",),
    "memory-reservation": ("memory_kept_bytes",),
    "kernel-memory": (),
    "blkio-weight": ("io_share_pct",),
    "pids-limit": ("tasks_max",),
    "restart": ("restarts",),
    "device-read-bps": ("io_bytes_per_s",),
    "device-write-bps": ("io_bytes_per_s",),
    "device-read-iops": ("io_bytes_per_s",),
    "device-write-iops": (),
    "memory-swappiness": (),
    "shm-size": (),
    "cpu-burst": (),
}
"""The metrics that show what each option does, where an experiment names none.

The first that was measured counts; where there is none, only the interface file can be judged.
"""

ALSO_BY: Mapping[str, tuple[str, ...]] = {"cpuset-cpus": ("set_cpus_used",)}
"""What must hold besides, where no experiment names its own metric: all of it can be used."""

_LONGEST_NAME = 60


def candidates(experiment: Experiment, option: str) -> tuple[str, ...]:
    """Return the metrics by which an option is judged, in order of preference."""
    verify = experiment.verify
    if verify is None or verify.metric is None or option not in verify.options:
        return JUDGED_BY.get(option, ())
    return (verify.metric,) if verify.otherwise is None else (verify.metric, verify.otherwise)


def besides(experiment: Experiment, option: str) -> tuple[str, ...]:
    """Return the metrics by which an option is judged as well, unless its experiment names one."""
    verify = experiment.verify
    own = verify is not None and verify.metric is not None and option in verify.options
    return () if own else ALSO_BY.get(option, ())


def judged_metric(experiment: Experiment, option: str, measured: Collection[str]) -> str | None:
    """Return the metric by which an option is judged, None where none of them was measured.

    A stored run may name a metric of another version, by which nothing can be judged.
    """
    known = (one for one in candidates(experiment, option) if one in METRICS)
    return next((one for one in known if one in measured), None)


def band(experiment: Experiment, option: str, metric: str) -> Band:
    """Return the experiment's own band for what it judges by, else the metric's."""
    verify = experiment.verify
    if verify is None or verify.band is None or option not in verify.options:
        return METRICS[metric].band
    return verify.band if metric in candidates(experiment, option) else METRICS[metric].band


def check(experiment: Experiment) -> None:
    """Raise ExperimentError where [verify] or [gate] names no metric, or a band that cannot be.

    Only files are checked: a stored run may have been measured by another version.
    """
    verify, gate = experiment.verify, experiment.gate
    for name in gate.metrics if gate else ():
        _check_name("gate.metrics", name)
    if verify is None:
        return
    for key, named in (("metric", verify.metric), ("otherwise", verify.otherwise)):
        if named is not None:
            _check_name(f"verify.{key}", named)
    if verify.otherwise is not None and verify.metric is None:
        raise ExperimentError(
            "verify.otherwise: there is no verify.metric that it could replace", "Name it metric."
        )
    for name in candidates(experiment, verify.options[0]):
        if verify.band is not None:
            _check_band(verify.band, METRICS[name])


def _check_name(key: str, name: str) -> None:
    if name not in METRICS:
        shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
        raise ExperimentError(f"{key}: unknown metric {shown!r}", nearest(name))


def _check_band(own: Band, metric: Metric) -> None:
    for part, given, unit in (
        ("ticks_per_worker", own.ticks_per_worker, "CPUs"),
        ("pages_per_cpu", own.pages_per_cpu, "bytes"),
        ("pages_per_cpu_above", own.pages_per_cpu_above, "bytes"),
        ("requests", own.requests, "bytes/s"),
        ("slices", own.slices, "bytes/s"),
    ):
        if given and metric.unit != unit:
            raise ExperimentError(
                f"verify.band.{part}: {metric.name} is in {metric.unit}, and this is for {unit}",
                "Leave it out; pct is of the expected value.",
            )
