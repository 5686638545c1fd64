"""`cgbench compare`, `gate` and `ab`: did anything get worse?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cgbench.cli import exits, forms, options
from cgbench.cli.terminal import PRINTED, complain, give_json, say

if TYPE_CHECKING:
    from cgbench.commands.outputs import Outputs
    from cgbench.records.comparison import Comparison


def compare(
    before: Annotated[str, typer.Argument(metavar="BASELINE", show_default=False)],
    after: Annotated[str, typer.Argument(metavar="CANDIDATE", show_default=False)],
    allow: options.Allow = None,
    effect: options.Effect = options.EFFECT_PCT,
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

    written = _Written(json_file, junit, markdown, output)
    found = comparing.compare(
        before, after, results,
        metrics=metric or (), allow=allow or (), effect=options.share(effect),
    )  # fmt: skip
    _finish([found], written)


def gate(
    names: Annotated[list[str], typer.Argument(metavar="NAME|FILE...", show_default=False)],
    against: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="N|FILE",
            help="Baseline to judge against; default: the experiment's name.",
        ),
    ] = None,
    budget: options.Budget = options.BUDGET,
    allow: options.Allow = None,
    effect: options.Effect = options.EFFECT_PCT,
    quick: options.Quick = False,
    junit: options.Junit = None,
    markdown: options.Markdown = None,
    json_file: options.JsonFile = None,
    output: options.Output = None,
    quiet: options.Quiet = False,
    wait: options.Wait = options.NO_WAIT,
    results: options.Results = options.RESULTS,
) -> None:
    """Measure until it is certain whether anything got worse than the baseline.

    A regression is measured again before it is reported. Exit status 1 if a metric regressed, 3 if
    the gate is inconclusive, incomparable or has no baseline yet, 4 if nothing could be measured.
    """
    from cgbench.cli import live
    from cgbench.commands import gate as gating
    from cgbench.commands import session

    written = _Written(json_file, junit, markdown, output)
    budget_s, share = options.time_given(budget, "--budget"), options.share(effect)
    wanted = gating.wanted(names, against, results, quick=quick)
    with (
        live.progress(quiet=quiet) as (progress, _detail),
        session.opened(
            results, progress=progress, remark=complain, wait_s=options.seconds(wait)
        ) as here,
    ):
        found = [
            gating.gate(
                experiment,
                gating.Terms(kept, tuple(allow or ()), budget_s, share, quick=quick),
                here,
            )
            for experiment, kept in wanted
        ]
    _finish(found, written, quiet=quiet)


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
    budget: options.Budget = options.BUDGET,
    effect: options.Effect = options.EFFECT_PCT,
    metric: options.Metrics = None,
    quick: options.Quick = False,
    junit: options.Junit = None,
    markdown: options.Markdown = None,
    json_file: options.JsonFile = None,
    output: options.Output = None,
    quiet: options.Quiet = False,
    wait: options.Wait = options.NO_WAIT,
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

    written = _Written(json_file, junit, markdown, output)
    sides = paired.Sides(
        a, b, restore=restore, metrics=tuple(metric or ()),
        budget_s=options.time_given(budget, "--budget"), effect=options.share(effect),
        quick=quick,
    )  # fmt: skip
    experiment = paired.wanted(name, quick=quick)
    with (
        live.progress(quiet=quiet) as (progress, _detail),
        session.opened(
            results, progress=progress, remark=complain, wait_s=options.seconds(wait)
        ) as here,
    ):
        found = paired.ab(experiment, sides, here)
    _finish([found], written, quiet=quiet)


@dataclass(frozen=True)
class _Written:
    """The files that were named; none is made where one of them cannot be written."""

    json_file: Path | None
    junit: Path | None
    markdown: Path | None
    page: Path | None

    def __post_init__(self) -> None:
        forms.require(self.json_file, self.junit, self.markdown, self.page)
        if (summary := self.summary) is not None:
            # Nothing is appended: whether it can be is known before anything is measured.
            from cgbench.records.writing import append_file

            append_file(summary, "")

    @property
    def printed(self) -> bool:
        """Whether a form is printed, so that no text may be."""
        return PRINTED in (self.json_file, self.junit, self.markdown)

    @property
    def summary(self) -> Path | None:
        """The summary of the job that this runs in, if any: GitHub Actions shows it beside it."""
        named = os.environ.get("GITHUB_STEP_SUMMARY")
        return Path(named) if named else None

    def outputs(self) -> Outputs:
        """Return the files, with the summary of the job."""
        from cgbench.commands.outputs import Outputs

        return Outputs(
            forms.file_of(self.junit), forms.file_of(self.markdown), self.page, self.summary
        )

    def give(self, found: Sequence[Comparison]) -> None:
        """Write every file, and print the form that was asked for."""
        from cgbench.commands.outputs import write
        from cgbench.reporting import junit, markdown

        write(found, self.outputs())
        give_json(lambda: [one.to_json() for one in found], self.json_file)
        forms.give(lambda: junit.of_comparisons(found), self.junit)
        forms.give(lambda: markdown.of_comparisons(found), self.markdown)


def _finish(found: Sequence[Comparison], written: _Written, *, quiet: bool = False) -> None:
    """Print the comparisons, write every output, and end with the status of the worst."""
    from cgbench.cli import tables
    from cgbench.records.comparison import Judgement

    overall = {one.overall for one in found}
    undecided = overall & {Judgement.INCONCLUSIVE, Judgement.INCOMPARABLE}
    good = not undecided and Judgement.REGRESSED not in overall
    silent = written.printed or (quiet and good)
    if not silent:
        tables.print_comparisons(found)
    written.give(found)
    if written.page is not None and not silent:
        say(f"page: {written.page}")
    if Judgement.REGRESSED in overall:
        exits.end(exits.FAILED)
    if undecided:
        exits.end(exits.UNDECIDED)
