"""`cgbench why`: what ended a container, or holds it back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cgbench.cli import exits, forms, options
from cgbench.cli.terminal import give_json
from cgbench.foreign import printable

if TYPE_CHECKING:
    from cgbench.records.cause import Cause, Explained

Name = Annotated[str, typer.Argument(metavar="CONTAINER", help="A name or an identity.")]


def why(
    container: Name,
    over: Annotated[
        str, typer.Option("--for", metavar="TIME", help="Look at one that runs for so long.")
    ] = "1s",
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="What cgbench watch --log kept.")
    ] = None,
    json_file: options.JsonFile = None,
) -> None:
    """Say why a container ended, stalls or is refused forks: which limit of which level, or none.

    Nothing is started or changed. Exit status 1 if a limit did it, 3 if that is not known.
    """
    from cgbench.commands import why as explaining
    from cgbench.engine.engine import Engine
    from cgbench.records import bounded_log

    forms.require(json_file)
    marks = [] if log is None else list(bounded_log.read(log))
    engine = Engine()
    try:
        found = explaining.why(container, engine, options.seconds(over), marks=marks)
    finally:
        engine.close()
    if not give_json(found.to_json, json_file, indent=2):
        _show(found)
    if found.limited:
        exits.end(exits.FAILED)
    if not found.known:
        exits.end(exits.UNDECIDED)


def _show(found: Explained) -> None:
    # Here and not above: other commands import this module, too.
    from cgbench.cli.console import Console

    console = Console(highlight=False)

    def line(text: str) -> None:
        console.print(printable(text), soft_wrap=True, markup=False)

    line(f"{found.name} ({found.id[:12]}) is {found.state}")
    if not found.causes:
        line("no limit holds it back now, and none has ended a process of it, as far as is known")
    for cause in found.causes:
        line(f"{_head(cause)}: {cause.reason}")
        for one in cause.evidence:
            line(f"    {one}")
    for one in found.unknown:
        line(f"not known: {one}")


def _head(cause: Cause) -> str:
    guess = "" if cause.sure else ", probably"
    at = "" if cause.at is None else f" at {cause.at}"
    return f"{cause.what.value}{at}{guess}"
