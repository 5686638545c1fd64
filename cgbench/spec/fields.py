"""The types of values in experiment files: text outside, plain numbers inside."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from cgbench.errors import UnitError
from cgbench.units import NS_PER_MS, NS_PER_S, parse_duration, parse_size

MOST = 2**63 - 1
"""The largest number of nanoseconds or bytes: they are kept as 64-bit integers."""


def _duration(value: object) -> object:
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except UnitError as error:
            raise ValueError(error.message) from None
    return value


def _size(value: object) -> object:
    if isinstance(value, str):
        try:
            return parse_size(value)
        except UnitError as error:
            raise ValueError(error.message) from None
    return value


def _seconds_text(ns: int) -> str:
    return f"{Decimal(ns) / NS_PER_S:f}s"


def _long_enough(ns: int) -> int:
    if ns < 50 * NS_PER_MS:
        raise PydanticCustomError("hold", "should be at least 50ms, written such as 6s or 250ms")
    return ns


def not_negative(ns: int) -> int:
    """Return `ns` if it is no negative duration, else complain as pydantic does."""
    if ns < 0:
        raise PydanticCustomError("duration", "should not be negative")
    return ns


Duration = Annotated[
    int,
    BeforeValidator(_duration),
    Field(le=MOST),
    PlainSerializer(_seconds_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?(ns|us|µs|ms|s|m|h)$"}),
]
"""Nanoseconds inside, `"6s"` in files."""

Hold = Annotated[Duration, AfterValidator(_long_enough)]
"""How long a step lasts; in less than 50 ms nothing settles."""

Whole = Annotated[int, Field(strict=True)]
"""A whole number that is written as one: neither `"5"` nor `true`."""

Size = Annotated[
    int,
    BeforeValidator(_size),
    Field(le=MOST),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer"},
                {"type": "string", "pattern": r"^\d+(\.\d+)?[kmgtpKMGTP]?[iI]?[bB]?$"},
            ]
        }
    ),
]
"""Bytes inside, `"256m"` in files."""

Scheduler = Literal["bfq", "mq-deadline", "kyber", "none"]
"""The kernel's I/O schedulers for multi-queue devices."""

Via = Literal["update", "run", "cgroupfs"]
"""How a value is set: `docker update`, born with it by `docker run`, or the file written."""
