"""A target that a program is to meet: a metric, and a value that it may not pass."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from cgbench.errors import OptionError, UnitError
from cgbench.spec.fields import MetricName
from cgbench.spec.metrics import METRICS, nearest
from cgbench.spec.model import Model
from cgbench.units import NS_PER_MS, parse_duration

SHORT: Mapping[str, str] = {
    "p50": "latency_p50_ms",
    "p99": "latency_p99_ms",
    "max": "latency_max_ms",
    "rps": "requests_per_s",
    "failed": "failed_pct",
}
"""Names that people use, of metrics that have longer ones."""

_FORM = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*(<=|>=)\s*(\S.*?)\s*")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_EXAMPLE = "For example: 'p99<=20ms', 'rps>=900', 'failed<=0.1%'."

Bound = Literal["<=", ">="]


class Target(Model):
    """What is to be met: `value` is in the metric's unit."""

    metric: MetricName
    bound: Bound
    value: float

    def met_by(self, value: float) -> bool:
        """Say whether a value of the metric meets it."""
        return value <= self.value if self.bound == "<=" else value >= self.value

    @property
    def words(self) -> str:
        """The target as a reader knows it."""
        metric = METRICS[self.metric]
        return f"{metric.label} {self.bound} {self.value:g} {metric.unit}"


def parse(text: str) -> Target:
    """Read a target such as `p99<=20ms`. Raises OptionError, with one that is right."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise OptionError(f"--target {text}: no metric, <= or >=, and a value", _EXAMPLE)
    name, bound, amount = match.groups()
    metric = SHORT.get(name, name)
    if metric not in METRICS:
        advice = f"{nearest(metric)} Short: {', '.join(SHORT)}. {_EXAMPLE}"
        raise OptionError(f"--target {text}: unknown metric {name}", advice)
    worse = METRICS[metric].worse
    if worse in ("lower", "higher") and (worse == "higher") != (bound == "<="):
        right = "<=" if worse == "higher" else ">="
        raise OptionError(
            f"--target {text}: more of {METRICS[metric].label} is "
            f"{'worse' if worse == 'higher' else 'better'}",
            f"Write {name}{right}{amount}.",
        )
    value = _value(text, amount, METRICS[metric].unit)
    return Target(metric=metric, bound="<=" if bound == "<=" else ">=", value=value)


def _value(text: str, amount: str, unit: str) -> float:
    if _NUMBER.fullmatch(amount):
        return float(amount)
    if unit in ("ms", "µs"):
        try:
            found = parse_duration(amount) / (NS_PER_MS if unit == "ms" else 1000)
        except UnitError as error:
            raise OptionError(f"--target {text}: {error.message}", error.advice) from None
        if found < 0:
            raise OptionError(f"--target {text}: {amount} is less than no time", _EXAMPLE)
        return found
    number = amount.removesuffix(unit).strip()
    if not _NUMBER.fullmatch(number):
        raise OptionError(
            f"--target {text}: {amount} is no number of {unit}", f"Write it as 20 or 20{unit}."
        )
    return float(number)
