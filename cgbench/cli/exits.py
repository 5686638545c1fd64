"""How a command ends: its exit status, and what the user sees of errors and interrupts."""

from __future__ import annotations

import errno
import functools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, ParamSpec, TypeVar

import typer

from cgbench.cli.terminal import complain
from cgbench.errors import CgbenchError

FAILED = 1
"""A trial failed, a limit is not what it says, or something regressed."""
ERROR = 2
"""Wrong usage, an error that cgbench names, or one that it did not expect."""
UNDECIDED = 3
"""Inconclusive, incomparable, or no baseline yet."""
UNMET = 4
"""A precondition is unmet, so nothing was measured."""

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def guarded(command: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Return a command whose errors end the process with their status and one or two lines.

    What is left to typer would not: it ends with 1 after some errors of Python.
    """

    @functools.wraps(command)
    def guard(*arguments: _Parameters.args, **named: _Parameters.kwargs) -> _Result:
        try:
            return command(*arguments, **named)
        except (typer.Exit, typer.BadParameter):
            raise
        except Exception as error:  # noqa: BLE001
            raise typer.Exit(status_of(error)) from None

    return guard


def end(status: int) -> NoReturn:
    """End the command with an exit status."""
    raise typer.Exit(status)


def status_of(error: Exception) -> int:
    """Print what went wrong in one or two lines, and return the exit status."""
    if isinstance(error, CgbenchError):
        complain(str(error))
        print_notes(error)
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        # Whoever read the output has seen enough; the status must not say "regressed".
        _forget_output()
        return ERROR
    if _lacks_memory(error):
        complain("out of memory: finished trials are kept, go on with --resume when some is free")
        return ERROR
    _name_traceback(error)
    return ERROR


def _lacks_memory(error: Exception) -> bool:
    # Python has no error of its own for a thread that finds no room for its stack, nor for a
    # library that finds none to be loaded.
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, RuntimeError) and "can't start new thread" in str(error))
        or (isinstance(error, ImportError) and "failed to map segment" in str(error))
    )


def print_notes(error: BaseException) -> None:
    """Print what else went wrong, on the way out."""
    for note in getattr(error, "__notes__", ()):
        complain(note)


def _name_traceback(error: Exception) -> None:
    """Write the traceback of an error that no code expected to a file, and name it."""
    words = " ".join(traceback.format_exception_only(error)[-1].split())
    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="cgbench-traceback-", suffix=".txt", delete=False, errors="backslashreplace"
        ) as file:
            file.write(text)
    except OSError as full:
        complain(f"unexpected error: {words} (no traceback was kept: {full.strerror})")
    else:
        complain(f"unexpected error: {words}; please report it with {file.name}")


def _forget_output() -> None:
    """Let Python end without a second complaint about an output that nobody reads."""
    with Path(os.devnull).open("w") as nowhere:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere.fileno(), stream.fileno())
