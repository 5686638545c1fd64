"""What is printed, so that no text from outside can steer the terminal."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import unicodedata

import typer

# Written from right to left, or over one another: a reader would see another text than there is.
_MISLEADING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_HARMLESS = "\n\t"


def printable(text: str) -> str:
    """Return `text` with everything escaped that a terminal would obey instead of showing."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character in _HARMLESS or unicodedata.category(character) not in _MISLEADING
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )


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
    typer.echo(json.dumps(document, indent=indent, allow_nan=False))


def complain(text: str) -> None:
    """Print what went wrong to standard error; a terminal that is gone changes no exit status."""
    with contextlib.suppress(OSError):
        typer.echo(f"cgbench: {printable(text)}", err=True)
