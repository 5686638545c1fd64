"""Verdicts that somebody knows of and accepts until a day: a TOML file beside an inventory."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator

from cgbench.errors import OptionError, StoreError
from cgbench.records.files import first_complaint
from cgbench.records.verdict import Outcome
from cgbench.spec import toml_file
from cgbench.spec.model import Model
from cgbench.spec.options import option

_EXAMPLE = (
    'Write for each: [[known]], option = "kernel-memory", verdict = "discarded", '
    'reason = "nobody sets it", until = 2027-06-30.'
)


class Known(Model):
    """One option's verdict that is accepted, why, and to which day, that one included."""

    option: Annotated[str, Field(max_length=60)]
    verdict: Outcome
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    until: date

    @field_validator("verdict")
    @classmethod
    def _fails(cls, verdict: Outcome) -> Outcome:
        if verdict in (Outcome.EFFECTIVE, Outcome.UNSUPPORTED):
            raise ValueError(f"{verdict.value} counts for nothing, and needs no entry")
        return verdict


class _Document(Model):
    known: tuple[Known, ...] = ()


def read(path: Path) -> tuple[Known, ...]:
    """Read such a file. Raises StoreError, which names the key, where it is none."""
    try:
        found = toml_file.validated(path, _Document, StoreError).known
    except ValidationError as error:
        raise StoreError(f"{path}: {first_complaint(error)}", _EXAMPLE) from None
    try:
        named = tuple(one.model_copy(update={"option": option(one.option).name}) for one in found)
    except OptionError as error:
        raise StoreError(f"{path}: {error.message}", error.advice) from None
    if (twice := _repeated(one.option for one in named)) is not None:
        raise StoreError(f"{path}: --{twice} is there twice", "Leave one of the two.")
    return named


def _repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
