"""`cgbench compare`, `gate`, `ab` and `baseline`: did anything get worse?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cgbench.cli import exits, options
from cgbench.cli.terminal import say, say_json, say_json_text
from cgbench.foreign import one_line

if TYPE_CHECKING:
    from cgbench.commands.outputs import Outputs
    from cgbench.records.comparison import Comparison


def compare(
    before: Annotated[str, typer.Argument(metavar="BASELINE", show_default=False)],
    after: Annotated[str, typer.Argument(metavar="CANDIDATE", show_default=False)],
    allow: options.Allow = None,
    effect: options.Effect = 2.0,
    metric: options.Metrics = None,
    junit: options.Junit = None,
    markdown: options.Markdown = None,
    json_file: options.JsonFile = None,
    output: options.Output = None,
    results: options.Results = options.RESULTS,
) -> None:
    """Judge a candidate run against a baseline: did anything get worse?

    Either may be a baseline's name or file, or a run. Exit status 1 if a metric regressed, 3 if
    the comparison is inconclusive or not allowed.
    """
    from cgbench.commands import compare as comparing

    found = comparing.compare(
        before, after, results,
        metrics=metric or (), allow=allow or (), effect=effect / 100,
    )  # fmt: skip
    _show([found], _outputs(junit, markdown, json_file, output))


def gate(
    names: Annotated[list[str], typer.Argument(metavar="NAME|FILE...", show_default=False)],
    against: Annotated[
        str | None,
        typer.Option("--baseline", metavar="N|FILE", help="Default: the experiment's name."),
    ] = None,
    budget: options.Budget = "5m",
    allow: options.Allow = None,
    effect: options.Effect = 2.0,
    quick: options.Quick = False,
    junit: options.Junit = None,
    markdown: options.Markdown = None,
    json_file: options.JsonFile = None,
    output: options.Output = None,
    results: options.Results = options.RESULTS,
) -> None:
    """Measure until it is certain whether anything got worse than the baseline.

    A regression is measured again before it is reported. Exit status 1 if a metric regressed, 3 if
    the gate is inconclusive, incomparable or has no baseline yet, 4 if nothing could be measured.
    """
    from cgbench.cli import live
    from cgbench.commands import gate, session

    budget_s = options.seconds(budget)
    wanted = gate.wanted(
        names, against, results, quick=quick,
        terms=lambda kept: gate.Terms(kept, tuple(allow or ()), budget_s, effect / 100),
    )  # fmt: skip
    with (
        live.progress() as (progress, _detail),
        session.opened(results, progress=progress) as here,
    ):
        found = [gate.gate(experiment, terms, here) for experiment, terms in wanted]
    _show(found, _outputs(junit, markdown, json_file, output))


def ab(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", show_default=False)],
    a: Annotated[
        str, typer.Option("--a", metavar="COMMAND", help="Command that puts the host in state A.")
    ],
    b: Annotated[
        str, typer.Option("--b", metavar="COMMAND", help="Command that puts the host in state B.")
    ],
    restore: Annotated[
        str | None,
        typer.Option(metavar="COMMAND", help="Command to run at the end, instead of that of A."),
    ] = None,
    budget: options.Budget = "5m",
    effect: options.Effect = 2.0,
    metric: options.Metrics = None,
    quick: options.Quick = False,
    junit: options.Junit = None,
    markdown: options.Markdown = None,
    json_file: options.JsonFile = None,
    output: options.Output = None,
    results: options.Results = options.RESULTS,
) -> None:
    """Compare two states of this host by trials that alternate: the most sensitive comparison.

    Each command runs before each trial of its side. The command of --restore, or else of A, runs at
    the end, also after an error or an interrupt. Exit status 1 if B is worse in a metric, 3 if
    the comparison is inconclusive, 4 if nothing could be measured.
    """
    from cgbench.cli import live
    from cgbench.commands import ab as paired
    from cgbench.commands import session

    sides = paired.Sides(
        a, b, tuple(metric or ()), options.seconds(budget), effect / 100, restore=restore
    )
    experiment = paired.wanted(name, quick=quick)
    with (
        live.progress() as (progress, _detail),
        session.opened(results, progress=progress) as here,
    ):
        found = paired.ab(experiment, sides, here)
    _show([found], _outputs(junit, markdown, json_file, output))


def _outputs(
    junit: Path | None, markdown: Path | None, json_file: Path | None, page: Path | None
) -> Outputs:
    from cgbench.commands.outputs import Outputs

    # The file that GitHub Actions shows beside a job.
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    return Outputs(junit, markdown, json_file, page, Path(summary) if summary else None)


def _show(found: Sequence[Comparison], outputs: Outputs) -> None:
    """Print comparisons, write them where asked, and end with the status of the worst."""
    from cgbench.cli import tables
    from cgbench.commands.outputs import write
    from cgbench.records.comparison import Judgement

    tables.print_comparisons(found)
    write(found, outputs)
    if outputs.page is not None:
        say(f"page: {outputs.page}")
    overall = {one.overall for one in found}
    if Judgement.REGRESSED in overall:
        exits.end(exits.FAILED)
    if overall & {Judgement.INCONCLUSIVE, Judgement.INCOMPARABLE}:
        exits.end(exits.UNDECIDED)


def baseline_set(
    run_name: Annotated[str, typer.Argument(metavar="RUN", show_default=False)],
    name: Annotated[
        str | None, typer.Option("--name", metavar="N", help="Default: the experiment's name.")
    ] = None,
    metric: options.Metrics = None,
    results: options.Results = options.RESULTS,
) -> None:
    """Keep a run's trials as the baseline to compare later runs with."""
    from cgbench.commands import baseline

    kept = baseline.keep(run_name, name, metric or (), results)
    trials, series = len(kept.baseline.repetitions), len(kept.baseline.series)
    say(f"baseline: {kept.path} ({trials} trials, {series} series)")


def baseline_list(
    as_json: options.AsJson = False, results: options.Results = options.RESULTS
) -> None:
    """List the baselines."""
    from cgbench.commands import baseline
    from cgbench.commands.listing import Damaged

    found = baseline.listed(results)
    if as_json:
        say_json([baseline.to_json(one) for one in found], indent=2)
        return
    if not found:
        say(f"No baselines under {baseline.folder(results)} yet.")
    for one in found:
        if isinstance(one, Damaged):
            say(one_line(f"{one.path.stem:<24} cannot be read: {one.reason}"))
            continue
        say(
            f"{one_line(one.name):<24} {one_line(one.experiment):<20} "
            f"{len(one.repetitions):>3} trials  {one_line(one.started)[:10]}  "
            f"{one_line(one.host.hostname)}"
        )


def baseline_show(
    name: Annotated[str, typer.Argument(metavar="N|FILE", show_default=False)],
    as_json: options.AsJson = False,
    results: options.Results = options.RESULTS,
) -> None:
    """Print what a baseline holds."""
    from cgbench.cli import tables
    from cgbench.commands import baseline

    found = baseline.find(name, results)
    if as_json:
        say_json_text(found.to_text().rstrip())
    else:
        tables.print_baseline(found)
