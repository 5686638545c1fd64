"""`cgbench tune`: the smallest limit under which a program of one's own still meets its target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cgbench.cli import exits, forms, options
from cgbench.cli.terminal import complain, give_json, say

if TYPE_CHECKING:
    from cgbench.records.tune import Tuned

_BUDGET = "10m"

_File = Annotated[
    Path, typer.Argument(metavar="FILE", help="TOML file of the program: its image and its load.")
]
_Target = Annotated[
    str,
    typer.Option(metavar="TARGET", help="What is to be met, as 'p99<=20ms' or 'rps>=900'."),
]
_Limit = Annotated[str, typer.Option(help="Which limit to search: cpus, memory or pids.")]
_From = Annotated[
    str | None, typer.Option("--from", metavar="VALUE", help="The lowest limit to try.")
]
_To = Annotated[str | None, typer.Option("--to", metavar="VALUE", help="The highest limit to try.")]
_Hold = Annotated[
    str | None, typer.Option(metavar="TIME", help="How long each limit is held, as 3s.")
]
_Seed = Annotated[
    int | None, typer.Option(min=0, help="Seed of the order in which limits are tried.")
]


def tune(
    file: _File,
    target: _Target,
    limit: _Limit = "cpus",
    low: _From = None,
    high: _To = None,
    hold: _Hold = None,
    budget: options.Budget = _BUDGET,
    seed: _Seed = None,
    json_file: options.JsonFile = None,
    output: options.Output = None,
    quiet: options.Quiet = False,
    wait: options.Wait = options.NO_WAIT,
    no_report: options.NoReport = False,
    results: options.Results = options.RESULTS,
) -> None:
    """Search the smallest limit under which a program of your own still meets a target.

    Exit status 1 if no limit meets it, 3 if the time did not suffice to tell.
    """
    forms.require(json_file, page=output)
    from cgbench.commands import tune as tuning
    from cgbench.spec import program_file, tunable
    from cgbench.spec import target as targets
    from cgbench.units import NS_PER_S

    which = tunable.tunable(limit)
    asked = tuning.question(
        program_file.load(file),
        targets.parse(target),
        which,
        None if low is None else tunable.value(which, "--from", low),
        None if high is None else tunable.value(which, "--to", high),
        None if hold is None else round(NS_PER_S * options.time_given(hold, "--hold")),
        options.time_given(budget, "--budget"),
    )
    from cgbench.cli import live
    from cgbench.commands import program_life, session

    with (
        live.progress(quiet=quiet) as (progress, detail),
        session.opened(
            results, seed, progress=progress, detail=detail, remark=complain,
            wait_s=options.seconds(wait),
        ) as here,
    ):  # fmt: skip
        here.require_image(here.image)
        lives = program_life.life(asked, here)
        found = tuning.tune(asked, lives, here.seed, here.progress)
    folder = tuning.keep(found, results)
    page = None if no_report else tuning.write_page(found, output or folder / "report.html")
    printed = give_json(lambda: found.model_dump(mode="json"), json_file)
    if not printed and not (quiet and found.suggested is not None):
        _show(found, folder, page)
    _end(found)


def _show(found: Tuned, folder: Path, page: Path | None) -> None:
    from cgbench.reporting.words import tune as words

    for line in words.lines(found):
        say(line)
    say(f"\nsearch: {folder}")
    if page is not None:
        say(f"report: {page}")


def _end(found: Tuned) -> None:
    from cgbench.records.tune import Verdict

    if found.verdict is Verdict.NONE:
        exits.end(exits.FAILED)
    if found.verdict is Verdict.UNDECIDED:
        exits.end(exits.UNDECIDED)
