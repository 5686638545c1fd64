"""How far a value may lie from what is expected: the parts of a band, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, model_validator

from cgbench.spec.fields import Whole, says
from cgbench.spec.model import Model

PER_PERIOD = "ms_per_period"
"""The key by which version 0.1 stated a tick's overrun, once per period."""

THROTTLE_SLICE_S = 0.1
"""The time for which the kernel hands out a device's rate (block/blk-throttle.c)."""

SLOWEST_TIMER_HZ = 100
"""The lowest tick rate that kernels are built with, assumed where a host's is not known."""


class Band(Model):
    """How far a value may lie from what is expected, all parts added up; empty is exactly.

    The kernel notices an overrun at a timer tick, and takes it back in the following periods.
    """

    pct: Annotated[
        float, Field(ge=0, le=100), says("A part of the expected value, in percent.", 2.0)
    ] = 0.0
    ticks_per_worker: Annotated[
        float, Field(ge=0),
        says("CPU time in timer ticks, for each worker that can run at once, and for the whole "
             "steady window.", 1.0),
    ] = 0.0  # fmt: skip
    pages_per_cpu: Annotated[
        Whole, Field(ge=0), says("What a memory counter may lag behind.", 64)
    ] = 0
    pages_per_cpu_above: Annotated[
        Annotated[Whole, Field(ge=0)] | None,
        says("By how much it may pass the value; without it, by as much.", 32),
    ] = None
    requests: Annotated[
        float, Field(ge=0), says("Times what the workload asks a device for at once.", 1.0)
    ] = 0.0
    slices: Annotated[float, Field(ge=0), says("Slices of 0.1 s of the rate of a device.", 1.0)] = (
        0.0
    )

    @model_validator(mode="before")
    @classmethod
    def _of_older_runs(cls, value: Any) -> Any:
        """Read the key of version 0.1: 1 ms per worker and period stood for a tick's overrun."""
        if not isinstance(value, Mapping) or PER_PERIOD not in value:
            return value
        rest = {key: part for key, part in value.items() if key != PER_PERIOD}
        return {"ticks_per_worker": 1.0 if value[PER_PERIOD] else 0.0} | rest


@dataclass(frozen=True)
class Tolerance:
    """How far below and above what is expected a value may lie, in the metric's unit."""

    below: float
    above: float

    def beside(self, value: float, expected: float) -> float:
        """Return how far a value may lie on the side of what is expected that it lies on."""
        return self.below if value < expected else self.above


@dataclass(frozen=True)
class Conditions:
    """Under which a value was measured, as far as its band depends on it.

    `window_s` is the length of the steady window, None where there was none. `in_flight` are the
    bytes that its workload asks a device for at once.
    """

    workers: int
    cpus: int
    timer_hz: int | None
    page_bytes: int
    window_s: float | None
    in_flight: int = 0
