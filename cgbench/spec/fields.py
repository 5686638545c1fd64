"""The types of values in experiment files: text outside, plain numbers inside."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from cgbench.errors import UnitError
from cgbench.foreign import LONGEST, one_line, printable, storable
from cgbench.units import NS_PER_MS, NS_PER_S, parse_duration, parse_size

V = TypeVar("V")

MOST = 2**63 - 1
"""The largest number of nanoseconds or bytes: they are kept as 64-bit integers."""

LONGEST_HOLD = 3600 * NS_PER_S
"""An hour: within it every limit has settled, and each millisecond of it is looked at."""

MOST_MEMORY = 2**46
"""64 TiB: more memory than any host has."""

MOST_SCRATCH = 2**40
"""1 TiB: the largest scratch device or swap."""


def says(description: str, example: object = None) -> Any:
    """Return what a key of a file is, and a value for an example where there is a short one."""
    return Field(description=description, examples=None if example is None else [example])


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


def short_enough(ns: int) -> int:
    """Return `ns` if it is no longer than LONGEST_HOLD, else complain as pydantic does."""
    if ns > LONGEST_HOLD:
        raise PydanticCustomError("long", "should be at most 1h")
    return ns


def shown_as_it_is(text: str) -> str:
    """Return a text that a terminal shows as it is, else complain as pydantic does."""
    if printable(text) != text:
        raise PydanticCustomError("text", "should hold no control or formatting characters")
    return text


def bare_names(settings: Mapping[str, V]) -> Mapping[str, V]:
    """Return settings with the names of options as the registry has them, without dashes.

    An option that is there twice, spelled both ways, is an error.
    """
    named = {name.removeprefix("--"): value for name, value in settings.items()}
    if len(named) < len(settings):
        raise PydanticCustomError("twice", "names an option twice, with dashes and without")
    return named


def _label(value: object) -> object:
    return one_line(value, _LONGEST_LABEL) if isinstance(value, str) else value


def _foreign(value: object) -> object:
    if not isinstance(value, str) or (value.isascii() and len(value) <= LONGEST):
        return value
    return storable(value)


_LONGEST_LABEL = 200

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=60)]
"""What may become part of a path, of a container's name, or a key: an experiment, a role, ..."""

MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
"""The name of a metric, or of a quantity that is sampled."""

RunName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
"""The name of a run: a folder, and part of containers' names and labels."""

ImageName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._/:@-]*$", max_length=255)]
"""A reference to an image of Docker."""

Title = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(shown_as_it_is)]
"""Words that the author of a file wrote, to be shown as they are."""

Label = Annotated[str, BeforeValidator(_label)]
"""A short fact from outside, such as a host's name: on one line, controls written as escapes."""

Foreign = Annotated[str, BeforeValidator(_foreign)]
"""A text from outside as it came, of which what is very long lacks its middle.

Whoever shows it makes it `printable`.
"""


Duration = Annotated[
    int,
    BeforeValidator(_duration),
    Field(le=MOST),
    PlainSerializer(_seconds_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?(ns|us|µs|ms|s|m|h)$"}),
]
"""Nanoseconds inside, `"6s"` in files."""

Hold = Annotated[Duration, AfterValidator(_long_enough), AfterValidator(short_enough)]
"""How long a step lasts; in less than 50 ms nothing settles, and within an hour everything has."""

Pause = Annotated[Duration, AfterValidator(not_negative), AfterValidator(short_enough)]
"""A time that passes before, or between, what is measured."""

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

Memory = Annotated[Size, Field(ge=0, le=MOST_MEMORY)]
"""Bytes of memory; 0 for none."""

Scheduler = Literal["bfq", "mq-deadline", "kyber", "none"]
"""The kernel's I/O schedulers for multi-queue devices."""

Moves = Literal["reads", "writes"]
"""What a workload does with a device, where it does nothing else with it."""

Via = Literal["update", "run", "cgroupfs"]
"""How a value is set: `docker update`, born with it by `docker run`, or the file written."""
