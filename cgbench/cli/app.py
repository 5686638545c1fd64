"""The command line: which commands there are, and how the process ends."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from cgbench import __version__
from cgbench.cli import (
    atlas,
    audit,
    baseline,
    compare,
    exits,
    fleet,
    host,
    image,
    measure,
    results,
    tune,
    watch,
    why,
)
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


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_image = typer.Typer(help="Images of the workloads and of examples.", no_args_is_help=True)
_baseline = typer.Typer(help="Small files that later runs are compared with.", no_args_is_help=True)

app.callback()(_anything)
app.command("doctor")(exits.guarded(host.doctor))
app.command("list")(exits.guarded(results.list_all))
app.command("show")(exits.guarded(results.show))
app.command("run")(exits.guarded(measure.run))
app.command("report")(exits.guarded(results.report))
app.command("history")(exits.guarded(results.history))
# So that an option may be written as tables print it, and as Docker takes it.
app.command("verify", context_settings={"ignore_unknown_options": True})(
    exits.guarded(measure.verify)
)
app.command("audit")(exits.guarded(audit.audit))
app.command("watch")(exits.guarded(watch.watch))
app.command("why")(exits.guarded(why.why))
app.command("atlas")(exits.guarded(atlas.atlas))
app.command("compare")(exits.guarded(compare.compare))
app.command("gate")(exits.guarded(compare.gate))
app.command("ab")(exits.guarded(compare.ab))
# What stands behind the command is its own.
app.command("fleet", context_settings={"allow_interspersed_args": False})(
    exits.guarded(fleet.fleet)
)
app.command("tune")(exits.guarded(tune.tune))
app.command("clean")(exits.guarded(host.clean))
app.command("schema")(exits.guarded(results.schema))
_image.command("build")(exits.guarded(image.build))
_image.command("list")(exits.guarded(image.list_all))
_image.command("save")(exits.guarded(image.save))
_image.command("load")(exits.guarded(image.load))
_baseline.command("set")(exits.guarded(baseline.set_))
_baseline.command("list")(exits.guarded(baseline.list_all))
_baseline.command("show")(exits.guarded(baseline.show))
app.add_typer(_image, name="image")
app.add_typer(_baseline, name="baseline")


@functools.cache
def command() -> Callable[..., object]:
    """Return what parses and runs a command line, built once of all commands."""
    return typer.main.get_command(app)


def main() -> None:
    """Run the command line and exit."""
    # Whatever the caller's says, nobody else may write to what root makes.
    os.umask(os.umask(0o022) | 0o022)
    interrupts.install()
    use_any_encoding()
    try:
        try:
            command()()
        finally:
            interrupts.work_is_over()
    except interrupts.Interrupted as error:
        exits.print_notes(error)
        complain("interrupted")
        sys.exit(interrupts.STATUS)
    except Exception as error:  # noqa: BLE001
        # From outside of any command, as a value that an option refuses.
        sys.exit(exits.status_of(error))
