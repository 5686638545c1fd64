"""What is printed, so that no text from outside can steer the terminal."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable
from pathlib import Path

import typer

from cgbench.cli.json_text import indented
from cgbench.foreign import printable

PRINTED = Path("-")
"""The name of standard output where a file may be named."""


def use_any_encoding() -> None:
    """Let a terminal that knows few characters show the others as escapes, not as an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Print lines of text."""
    typer.echo(printable(text))


def say_json(document: object, indent: int) -> None:
    """Print a document for scripts."""
    say_json_text(indented(document, indent))


def say_json_text(text: str) -> None:
    """Print a document that is JSON already, with nothing but ASCII in it."""
    # The one control character that JSON may hold as it is; it stands in texts only.
    typer.echo(text.replace("\x7f", "\\u007f"))


def give_json(document: Callable[[], object], file: Path | None, indent: int = 1) -> bool:
    """Write what `document` returns as JSON where it was asked for; see `give_json_text`."""
    if file is None:
        return False
    return give_json_text(indented(document(), indent), file)


def give_json_text(text: str, file: Path | None) -> bool:
    """Write JSON to a file that was named, or print it; say whether it was printed.

    Nothing else belongs on standard output then. Raises StoreError where the file cannot be
    written.
    """
    if file == PRINTED:
        say_json_text(text.removesuffix("\n"))
    elif file is not None:
        # Here and not above: most commands write no file.
        from cgbench.records import writing

        writing.write_named(file, text if text.endswith("\n") else f"{text}\n")
    return file == PRINTED


def complain(text: str) -> None:
    """Print what went wrong to standard error; a terminal that is gone changes no exit status."""
    with contextlib.suppress(OSError):
        typer.echo(f"cgbench: {printable(text)}", err=True)
