"""`cgbench baseline`: keep a run to compare later ones with, and show what is kept."""

from __future__ import annotations

from typing import Annotated

import typer

from cgbench.cli import forms, options
from cgbench.cli.terminal import complain, give_json, give_json_text, say
from cgbench.foreign import one_line


def set_(
    run_name: Annotated[str, typer.Argument(metavar="RUN", show_default=False)],
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="N", help="Name of the baseline; default: the experiment's."
        ),
    ] = None,
    metric: options.Metrics = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of a baseline of that name.")
    ] = False,
    results: options.Results = options.RESULTS,
) -> None:
    """Keep a run's trials as the baseline to compare later runs with.

    What `verify`, `gate` and `ab` measured is no baseline.
    """
    from cgbench.commands import baseline as baselines

    kept = baselines.keep(run_name, name, metric or (), results, replace=replace)
    if kept.before is not None:
        say(f"replaced: {baselines.described(kept.before)}")
    trials, series = len(kept.baseline.repetitions), len(kept.baseline.series)
    say(f"baseline: {kept.path} ({trials} trials, {series} series)")
    for doubt in kept.doubts:
        complain(f"warning: {doubt.rstrip('.')}")
    if kept.doubts:
        complain("A gate compares with it all the same: measure it anew on a quiet host.")


def list_all(
    json_file: options.JsonFile = None, results: options.Results = options.RESULTS
) -> None:
    """List the baselines."""
    from cgbench.commands import baseline as baselines
    from cgbench.commands.listing import Damaged

    found = baselines.listed(results)
    if give_json(lambda: [baselines.to_json(one) for one in found], json_file, indent=2):
        return
    if not found:
        say(f"No baselines under {baselines.folder(results)} yet.")
    for one in found:
        if isinstance(one, Damaged):
            say(one_line(f"{one.path.stem:<24} cannot be read: {one.reason}"))
            continue
        say(
            f"{one_line(one.name):<24} {one_line(one.experiment):<20} "
            f"{len(one.repetitions):>3} trials  {one_line(one.started)[:10]}  "
            f"{one_line(one.host.hostname)}"
        )


def show(
    name: Annotated[str, typer.Argument(metavar="N|FILE", show_default=False)],
    json_file: options.JsonFile = None,
    junit: options.Junit = None,
    markdown: options.Markdown = None,
    results: options.Results = options.RESULTS,
) -> None:
    """Print what a baseline holds.

    In JUnit XML every series is skipped: nothing was compared with it yet.
    """
    from cgbench.cli import tables
    from cgbench.commands import baseline as baselines
    from cgbench.reporting import junit as as_junit
    from cgbench.reporting import markdown as as_markdown

    forms.require(json_file, junit, markdown)
    found = baselines.find(name, results)
    printed = [
        give_json_text(found.to_text(), json_file),
        forms.give_or_write(lambda: as_junit.of_baseline(found), junit),
        forms.give_or_write(lambda: as_markdown.of_baseline(found), markdown),
    ]
    if not any(printed):
        tables.print_baseline(found)
