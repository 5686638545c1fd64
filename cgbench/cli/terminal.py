"""What is printed, so that no text from outside can steer the terminal."""

from __future__ import annotations

import contextlib
import io
import json
import sys

import typer

from cgbench.foreign import printable


def use_any_encoding() -> None:
    """Let a terminal that knows few characters show the others as escapes, not as an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Print lines of text."""
    typer.echo(printable(text))


def say_json(document: object, indent: int | None = None) -> None:
    """Print a document for scripts, on one line unless `indent` is given."""
    say_json_text(json.dumps(document, indent=indent, allow_nan=False))


def say_json_text(text: str) -> None:
    """Print a document that is JSON already, with nothing but ASCII in it."""
    # The one control character that JSON may hold as it is; it stands in texts only.
    typer.echo(text.replace("\x7f", "\\u007f"))


def complain(text: str) -> None:
    """Print what went wrong to standard error; a terminal that is gone changes no exit status."""
    with contextlib.suppress(OSError):
        typer.echo(f"cgbench: {printable(text)}", err=True)
