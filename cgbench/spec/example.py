"""Lines of an experiment file that are right, to show beside one that is not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cgbench.spec.experiment import Experiment
from cgbench.spec.model import Model
from cgbench.spec.options import KNOWN
from cgbench.spec.toml_text import toml

_TABLES = {"containers": "[[containers]]", "steps": "[[steps]]"}
# Written in one line with the key of the table that it is in.
_INLINE = ("band",)
# Whose keys are names of the author's own.
_NAMED = "programs"
_KEY_OF_LINE = re.compile(r"\s*([A-Za-z_][\w-]*)\s*=")


def line(place: Sequence[int | str]) -> str | None:
    """Return a line that would be right at a place of a file, None where there is no short one.

    A place has the keys of tables, the numbers of those in lists, and the key itself last.
    """
    model: type[Model] | None = Experiment
    found, within = None, ""
    for part in _keys_of(place):
        if model is None or part not in model.model_fields:
            return _of_option(place, part) or found
        field = model.model_fields[part]
        model = next(_models(field.annotation), None)
        right = f"{part} = {toml(field.examples[0])}" if field.examples else _head(part)
        found = f"{within} = {{ {right} }}" if within in _INLINE else right
        within = part
    return found


def of_key(key: str) -> str | None:
    """Return a line with a key of whichever table, None where no table has it."""
    places: list[tuple[tuple[str, ...], type[Model]]] = [((), Experiment)]
    while places:
        place, model = places.pop(0)
        if key in model.model_fields:
            return line((*place, key))
        for name, field in model.model_fields.items():
            places += [((*place, name), inner) for inner in _models(field.annotation)]
    return None


def of_line(text: str) -> str | None:
    """Return a line that would be right in place of another, by the key that it begins with."""
    match = _KEY_OF_LINE.match(text)
    return None if match is None else of_key(match[1])


def keys(place: Sequence[int | str]) -> tuple[str, ...]:
    """Return the keys of the table in which a place lies."""
    return tuple(_table(place).model_fields)


def first_key(place: Sequence[int | str]) -> str | None:
    """Return a line with the first key of that table."""
    table = [part for part in place[:-1] if isinstance(part, str)]
    return line([*table, next(iter(_table(place).model_fields))])


def shown(advice: str | None, right: str | None) -> str | None:
    """Add a line that is right to an advice."""
    if right is None:
        return advice
    return f"{advice} For example: {right}" if advice else f"For example: {right}"


def _table(place: Sequence[int | str]) -> type[Model]:
    model: type[Model] = Experiment
    for part in _keys_of(place[:-1]):
        if part in model.model_fields:
            model = next(_models(model.model_fields[part].annotation), model)
    return model


def _keys_of(place: Sequence[int | str]) -> Iterator[str]:
    """Yield the keys of a place, without the names that somebody chose for programs."""
    before: int | str | None = None
    for part in place:
        if isinstance(part, str) and before != _NAMED:
            yield part
        before = part


def _head(key: str) -> str:
    return _TABLES.get(key, f"[{key}]")


def _of_option(place: Sequence[int | str], name: str) -> str | None:
    bare = name.removeprefix("--")
    key = next((part for part in place if part in ("set", "options")), None)
    if key is None or bare not in KNOWN:
        return None
    values: Mapping[str, Any] = {bare: KNOWN[bare].example}
    return f"{key} = {toml(values)}"


def _models(annotation: Any) -> Iterator[type[Model]]:
    """Yield the models anywhere in a type."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models(inner)
