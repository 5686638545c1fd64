"""`cgbench list`, `show`, `report`, `history` and `schema`: what was measured, and what can be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cgbench.cli import forms, options
from cgbench.cli.terminal import give_json, say, say_json
from cgbench.units import NS_PER_S, format_duration

if TYPE_CHECKING:
    from cgbench.commands.listing import Listing


def list_all(
    json_file: options.JsonFile = None, results: options.Results = options.RESULTS
) -> None:
    """List the built-in experiments, the runs and the truth tables."""
    from cgbench.commands import listing

    found = listing.listing(results)
    if not give_json(found.to_json, json_file, indent=2):
        _print_listing(found, results)


def _print_listing(found: Listing, results: Path) -> None:
    from cgbench.commands.listing import Damaged

    say("Experiments, and how long each takes about (`cgbench show NAME` explains one):")
    say(f"  {'name':<27} {'full':>11} {'--quick':>11}")
    for one in found.experiments:
        named = one.experiment
        say(f"  {named.name:<27} {_time(one.full_s):>11} {_time(one.quick_s):>11}  {named.title}")
    say(f"\nRuns under {results}:" if found.runs else f"\nNo runs under {results} yet.")
    for run in found.runs:
        if isinstance(run, Damaged):
            say(f"  {run.path.name}  cannot be read: {run.reason}")
            continue
        record = run.record
        say(
            f"  {record.run}  {record.experiment.name:<20} {run.status:<11} "
            f"{run.measured}/{record.trials_planned} trials"
            + ("" if record.for_itself else f", {record.purpose}")
        )
    for path in found.truth_tables:
        say(f"  {path.parent.name}  truth table")


def _time(seconds: float | None) -> str:
    return "–" if seconds is None else format_duration(seconds * NS_PER_S)


def show(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE|RUN|TABLE", show_default=False)],
    json_file: options.JsonFile = None,
    results: options.Results = options.RESULTS,
) -> None:
    """Explain an experiment, or print the figures of a run, or a truth table."""
    from cgbench.commands import show as showing

    found = showing.show(name, results)
    explained = isinstance(found, showing.Explained)
    if give_json(found.to_json, json_file, indent=2 if explained else 1):
        return
    if isinstance(found, showing.Explained):
        say(found.words)
        if found.open:
            say("\n" + "\n".join(f"note: {line}" for line in found.open))
        return
    from cgbench.cli import tables

    if isinstance(found, showing.Figures):
        tables.print_summary(found.run)
    else:
        tables.print_truth(found)


def report(
    names: Annotated[list[str], typer.Argument(metavar="RUN...", show_default=False)],
    output: options.Output = None,
    results: options.Results = options.RESULTS,
) -> None:
    """Write one self-contained HTML page from one or many runs, of one or many hosts.

    A RUN may also be what `cgbench verify` left: truth.json, its directory, or its name. What
    several hosts have measured is laid side by side.
    """
    from cgbench.commands import report as reporting

    forms.require(page=output)
    say(f"report: {reporting.report(names, output, results)}")


def history(
    metric: Annotated[str, typer.Argument(metavar="METRIC", show_default=False)],
    name: Annotated[
        str | None, typer.Option("--experiment", metavar="NAME", help="Only this experiment.")
    ] = None,
    role: Annotated[
        str | None, typer.Option(metavar="ROLE", help="Only containers of this role.")
    ] = None,
    requested: Annotated[
        str | None, typer.Option(metavar="VALUE", help="Only this value of the option.")
    ] = None,
    json_file: options.JsonFile = None,
    output: options.Output = None,
    results: options.Results = options.RESULTS,
) -> None:
    """Show a metric across all runs: when it changed, and what changed on the host with it.

    Needs apache-otava, which the extra `history` of cgbench installs.
    """
    from cgbench.commands import history as tracing
    from cgbench.judging.history import Wanted

    forms.require(json_file, page=output)
    found = tracing.history(Wanted(metric, name, role, requested), results, output)
    if give_json(found.to_json, json_file):
        return
    from cgbench.cli import tables

    tables.print_history(found.history)
    say(f"\nreport: {found.page}")


def schema() -> None:
    """Print the JSON Schema of experiment files, for editors."""
    from cgbench.spec import experiment_file

    say_json(experiment_file.json_schema(), indent=2)
