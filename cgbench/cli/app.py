"""The command line: which commands there are, and how the process ends."""

from __future__ import annotations

import functools
import gc
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, NamedTuple

import typer

from cgbench import __version__
from cgbench.cli import exits
from cgbench.cli.terminal import complain, say, use_any_encoding
from cgbench.host import interrupts


def _name_version(wanted: bool) -> None:
    if wanted:
        say(f"cgbench {__version__}")
        raise typer.Exit


def _anything(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_name_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Show what container resource limits really do: declared, enforced, experienced."""


_GARBAGE = 50_000


class _Command(NamedTuple):
    """A command: its name, its module of this room, the function there, and how it is parsed."""

    name: str
    module: str
    function: str
    settings: Mapping[str, bool] = {}

    def load(self) -> Callable[..., object]:
        """Return the function; only now is its module imported."""
        found = getattr(importlib.import_module(f"cgbench.cli.{self.module}"), self.function)
        assert callable(found)
        return exits.guarded(found)


_COMMANDS = (
    _Command("doctor", "host", "doctor"),
    _Command("list", "results", "list_all"),
    _Command("show", "results", "show"),
    _Command("run", "measure", "run"),
    _Command("report", "results", "report"),
    _Command("history", "results", "history"),
    # So that an option may be written as tables print it, and as Docker takes it.
    _Command("verify", "measure", "verify", {"ignore_unknown_options": True}),
    _Command("audit", "audit", "audit"),
    _Command("watch", "watch", "watch"),
    _Command("why", "why", "why"),
    _Command("atlas", "atlas", "atlas"),
    _Command("compare", "compare", "compare"),
    _Command("gate", "compare", "gate"),
    _Command("ab", "compare", "ab"),
    # What stands behind the command is its own.
    _Command("fleet", "fleet", "fleet", {"allow_interspersed_args": False}),
    _Command("tune", "tune", "tune"),
    _Command("clean", "host", "clean"),
    _Command("schema", "results", "schema"),
)
_GROUPS: Mapping[str, tuple[str, tuple[_Command, ...]]] = {
    "image": (
        "Images of the workloads and of examples.",
        (
            _Command("build", "image", "build"),
            _Command("list", "image", "list_all"),
            _Command("save", "image", "save"),
            _Command("load", "image", "load"),
        ),
    ),
    "baseline": (
        "Small files that later runs are compared with.",
        (
            _Command("set", "baseline", "set_"),
            _Command("list", "baseline", "list_all"),
            _Command("show", "baseline", "show"),
        ),
    ),
}


def application(only: str | None = None) -> typer.Typer:
    """Return the command line of every command, or of the one command or group that is named."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_anything)
    _register(app, [one for one in _COMMANDS if only in (None, one.name)])
    for name, (about, commands) in _GROUPS.items():
        if only in (None, name):
            group = typer.Typer(help=about, no_args_is_help=True)
            _register(group, commands)
            app.add_typer(group, name=name)
    return app


def _register(app: typer.Typer, commands: Iterable[_Command]) -> None:
    for one in commands:
        app.command(one.name, context_settings=dict(one.settings))(one.load())


@functools.cache
def command(only: str | None = None) -> Callable[..., object]:
    """Return what parses and runs a command line, built once; see `application`."""
    return typer.main.get_command(application(only))


def _asked() -> str | None:
    """Return the command that the process was started for, None where no known one is named.

    To build all takes longer than most of them do.
    """
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    return first if first in _GROUPS or first in {one.name for one in _COMMANDS} else None


def main() -> None:
    """Run the command line and exit."""
    # Whatever the caller's says, nobody else may write to what root makes.
    os.umask(os.umask(0o022) | 0o022)
    # Nearly all that a command makes it keeps to its end: to look for garbage less often takes a
    # tenth of the time from the short ones.
    gc.set_threshold(_GARBAGE)
    interrupts.install()
    use_any_encoding()
    try:
        try:
            command(_asked())()
        finally:
            interrupts.work_is_over()
            # Nor is there anything to be found in what the process ends with.
            gc.freeze()
    except interrupts.Interrupted as error:
        exits.print_notes(error)
        complain("interrupted")
        sys.exit(interrupts.STATUS)
    except Exception as error:  # noqa: BLE001
        # From outside of any command, as a value that an option refuses.
        sys.exit(exits.status_of(error))
