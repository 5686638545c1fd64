"""What a program prints of itself, and how figures are read from it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from cgbench.errors import WorkloadError
from cgbench.spec.fields import says
from cgbench.spec.model import Model

FIGURES: Mapping[str, str] = {
    "rate": "reported_rate_per_s",
    "mean_ms": "reported_mean_ms",
    "p50_ms": "reported_p50_ms",
    "p99_ms": "reported_p99_ms",
    "max_ms": "reported_max_ms",
    "duration_s": "reported_duration_s",
    "cpus": "reported_cpus",
}
"""The metrics that a report may have, by the names that a file uses."""

_LONGEST_LINE = 4000


def _pattern(text: str) -> str:
    """Return a regular expression whose groups are figures, else complain as pydantic does."""
    try:
        groups = set(re.compile(text).groupindex)
    except re.error as error:
        raise PydanticCustomError(
            "pattern", "no regular expression: {why}", {"why": str(error)}
        ) from None
    if not groups:
        raise PydanticCustomError("pattern", "should name a figure, such as (?P<rate>[0-9.]+)")
    _known(text, groups)
    return text


def _known(text: Any, names: set[str]) -> Any:
    if not names <= set(FIGURES):
        raise PydanticCustomError(
            "figure", "{name} is no figure; there are {known}",
            {"name": min(names - set(FIGURES)), "known": ", ".join(FIGURES)},
        )  # fmt: skip
    return text


def _figures(table: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _known(table, set(table))
    return found


class Report(Model):
    """How figures are read from lines: by a regular expression, or by the keys of JSON objects.

    A line that does not fit is none of it.
    """

    pattern: Annotated[
        Annotated[str, Field(max_length=2000), AfterValidator(_pattern)] | None,
        says("A regular expression whose groups are named like figures.", "rps=(?P<rate>[0-9.]+)"),
    ] = None
    keys: Annotated[
        Annotated[
            Mapping[str, Annotated[str, Field(min_length=1, max_length=200)]],
            Field(min_length=1), AfterValidator(_figures),
        ]
        | None,
        says("The keys of lines in JSON, with dots between those of objects in one another.",
             {"p99_ms": "latency.p99"}),
    ] = None  # fmt: skip
    scale: Annotated[
        Annotated[Mapping[str, Annotated[float, Field(gt=0)]], AfterValidator(_figures)],
        says("What a figure is multiplied with, where it has another unit.", {"p99_ms": 1000.0}),
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Report:
        if (self.pattern is None) == (self.keys is None):
            raise ValueError("a report has either a pattern or keys")
        return self

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it may report."""
        named = re.compile(self.pattern).groupindex if self.pattern is not None else self.keys or {}
        return tuple(metric for name, metric in FIGURES.items() if name in named)

    def read(self, line: str) -> Iterator[tuple[str, float]]:
        """Yield the metrics that a line reports, with their values; none where it does not fit.

        Raises WorkloadError where a figure is no finite number.
        """
        for name, text in self._found(line[:_LONGEST_LINE]):
            try:
                value = float(text)
            except (TypeError, ValueError):
                value = math.nan
            if not math.isfinite(value) or isinstance(text, bool):
                raise WorkloadError(
                    f"report: {name} is {text!r}, and no finite number",
                    "Correct the pattern or the keys, so that they fit a number.",
                )
            yield FIGURES[name], value * self.scale.get(name, 1.0)

    def _found(self, line: str) -> Iterator[tuple[str, Any]]:
        if self.pattern is not None:
            match = re.search(self.pattern, line)
            groups = {} if match is None else match.groupdict()
            yield from ((name, text) for name, text in groups.items() if text is not None)
            return
        try:
            document = json.loads(line)
        except ValueError:
            return
        for name, place in (self.keys or {}).items():
            value: Any = document
            for key in place.split("."):
                value = value.get(key) if isinstance(value, Mapping) else None
            if value is not None:
                yield name, value
