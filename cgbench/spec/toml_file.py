"""A TOML file: read and parsed, with one clear error for everything that can be wrong with it."""

from __future__ import annotations

import reprlib
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from cgbench.errors import CgbenchError
from cgbench.spec import regular_file
from cgbench.spec.model import Model

M = TypeVar("M", bound=Model)

_MOST_BYTES = 2**20
_DEEPEST = 20
# TOML 1.0: integers have 64 bits, and one that does not fit must be an error.
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_SYNTAX = "Fix the TOML syntax there."
_SMALLER = "Write a smaller number."


def read(path: Path, error: type[CgbenchError]) -> str:
    """Return the text of a file. Raises `error` when there is none, or no text in it."""
    try:
        text = regular_file.content(path, _MOST_BYTES).decode()
    except OSError as reason:
        raise error(f"cannot read {path}: {reason.strerror}") from None
    except UnicodeDecodeError as reason:
        raise error(
            f"cannot read {path}: not UTF-8 at byte {reason.start + 1}", "Save it as UTF-8 text."
        ) from None
    if text.startswith("\N{ZERO WIDTH NO-BREAK SPACE}"):
        raise error(f"{path}: begins with a byte order mark", "Save it as UTF-8 without one.")
    return text


def parse(text: str, origin: str, error: type[CgbenchError]) -> dict[str, Any]:
    """Return what a TOML text says. Raises `error`, in which `origin` names the file."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as reason:
        raise error(f"{origin}: {reason}", _SYNTAX) from None
    except RecursionError:
        raise error(f"{origin}: nested too deeply", "Close the brackets that are open.") from None
    except ValueError:
        # All that tomllib does not translate: Python reads no number of thousands of digits.
        raise error(f"{origin}: a number has thousands of digits", _SMALLER) from None
    _check_size(document, origin, error)
    return document


def validated(path: Path, kind: type[M], error: type[CgbenchError]) -> M:
    """Return a file as what it should be.

    Raises `error` where it is no TOML, and pydantic's ValidationError where it is something else.
    """
    return kind.model_validate(parse(read(path, error), str(path), error))


def shortened(value: object) -> str:
    """Return a value as it would be written in Python, without the middle of what is long."""
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def _check_size(document: dict[str, Any], origin: str, error: type[CgbenchError]) -> None:
    """Raise `error` where a number has more than 64 bits, or tables lie too deep in one another."""
    waiting: list[tuple[tuple[str, ...], object]] = [((), document)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
            where = ".".join(place)
            raise error(f"{origin}: {where} does not fit into 64 bits", _SMALLER)
        if len(place) > _DEEPEST:
            where = ".".join(place[:3])
            raise error(f"{origin}: nested too deeply below {where}", "Remove that key.")
        if isinstance(value, dict):
            waiting += [((*place, key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [((*place, str(n)), inner) for n, inner in enumerate(value, 1)]
