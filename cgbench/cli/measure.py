"""`cgbench run` and `cgbench verify`: measure, and show what was measured."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cgbench.cli import exits, forms, options
from cgbench.cli.terminal import PRINTED, complain, give_json, give_json_text, say
from cgbench.errors import CgbenchError, OptionError
from cgbench.host.interrupts import Interrupted

if TYPE_CHECKING:
    from cgbench.commands.run import Finished
    from cgbench.commands.verify import Verified
    from cgbench.judging.standing import Standing
    from cgbench.records.run_directory import RunDirectory


def run(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME|FILE...", show_default=False)
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Use fewer trials and shorter holds.")
    ] = False,
    trials: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Number of trials, instead of the file's.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the order of trials; kept in run.json.")
    ] = None,
    results: options.Results = options.RESULTS,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Measure only the trials that RUN lacks.")
    ] = None,
    json_file: options.JsonFile = None,
    quiet: options.Quiet = False,
    wait: options.Wait = options.NO_WAIT,
    no_report: options.NoReport = False,
) -> None:
    """Run experiments and write a report for each.

    Exit status 1 if a trial failed, 4 if this host lacks what an experiment requires.
    """
    form = _Form(json_file, quiet=quiet, page=not no_report)
    if bool(names) == bool(resume):
        raise typer.BadParameter("give either experiments or --resume RUN")
    forms.require(json_file)
    from cgbench.cli import live
    from cgbench.commands import run as runs
    from cgbench.commands import session

    wanted = runs.wanted(names or (), results, quick=quick, trials=trials, resume=resume)
    for line in wanted.open:
        complain(f"note: {line}")
    begun: list[RunDirectory] = []
    measured: list[RunDirectory] = []
    try:
        with session.opened(results, seed, remark=complain, wait_s=options.seconds(wait)) as here:
            for directory in runs.begun(wanted, here):
                begun.append(directory)
                with live.display(quiet=quiet) as observer:
                    runs.measure(directory, here, observer)
                measured.append(directory)
    except Interrupted:
        # Whoever interrupts does not wait for pages, which may take tens of seconds.
        _name_what_is_kept(begun, measured)
        raise
    except CgbenchError:
        # An experiment that cannot be measured takes no report from those before it.
        _show_all(measured, form)
        raise
    # After all measuring, since figures and pages need much that must not weigh on it.
    if _show_all(measured, form):
        exits.end(exits.FAILED)


def _name_what_is_kept(begun: list[RunDirectory], measured: list[RunDirectory]) -> None:
    """Say what the next move is for each run that an interrupt left without its page."""
    for directory in begun:
        name = directory.path.name
        if directory not in measured:
            complain(f"finished trials are kept; go on with: cgbench run --resume {name}")
        complain(f"no page was written; write it with: cgbench report {name}")


@dataclass(frozen=True)
class _Form:
    """How the runs of a command are shown in the end."""

    json_file: Path | None
    quiet: bool
    page: bool


def _show_all(measured: list[RunDirectory], form: _Form) -> bool:
    """Write every run's figures and page, and show them; return whether a trial failed."""
    from cgbench.commands import run as runs

    finished: list[Finished] = []
    for directory in measured:
        finished.append(runs.finish(directory, page=form.page))
        if form.json_file != PRINTED and not (form.quiet and not finished[-1].run.failed):
            _show(finished[-1])
    if form.json_file is not None:
        lines = [json.dumps(one.to_json(), allow_nan=False) + "\n" for one in finished]
        give_json_text("".join(lines), form.json_file)
    return any(one.run.failed for one in finished)


def _show(finished: Finished) -> None:
    if finished.page is None:
        run = finished.run
        say(f"\nmeasured: {run.directory.path}\nIts page: cgbench report {run.name}")
    else:
        from cgbench.cli import tables

        tables.print_summary(finished.run, alone=False)
        say("\n" + "\n".join(finished.headline))
        say(f"\nreport: {finished.page}")


_VerdictsOnly = Annotated[
    bool,
    typer.Option("--quick", help="Measure verdicts only: no bounds, births, survival, states."),
]
_Interactions = Annotated[
    bool, typer.Option("--interactions", help="Also update every other option beside each.")
]
_DisturbDaemon = Annotated[
    bool, typer.Option("--disturb-daemon", help="Also reload systemd and restart Docker.")
]
_StopContainers = Annotated[
    bool, typer.Option("--stop-containers", help="Let that restart stop others' containers, too.")
]
_Known = Annotated[
    Path | None,
    typer.Option(
        "--known",
        metavar="FILE",
        help="Verdicts that are accepted until a day, with a reason (TOML).",
    ),
]
_Against = Annotated[
    str | None,
    typer.Option(
        "--against", metavar="TABLE", help="Fail only for what got worse since that truth table."
    ),
]
_Only = Annotated[
    options.Rows | None,
    typer.Option("--only", metavar="failing", help="Print only the options that count."),
]


def _named(context: typer.Context, names: list[str] | None) -> list[str] | None:
    """Refuse what is neither an option to measure nor one of the command's own.

    The former may be spelled `memory`, or `--memory`. Raises OptionError.
    """
    # Here and not above: other commands import this module, too.
    from cgbench.spec.options import OPTIONS

    own = [flag for one in context.command.params for flag in one.opts if flag.startswith("--")]
    for name in names or ():
        bare, given, _value = name.partition("=")
        known = bare.removeprefix("--") in OPTIONS
        if not name.startswith("-") or (known and not given):
            continue
        if known:
            raise OptionError(f"{name}: verify tries values of its own", f"Leave {bare}.")
        near = difflib.get_close_matches(bare, [*own, *(f"--{one}" for one in OPTIONS)], 1)
        advice = f"Did you mean {near[0]}?" if near else "See cgbench verify --help."
        raise OptionError(f"no such option: {bare}", advice)
    return names


def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="OPTION...", show_default=False, callback=_named),
    ] = None,
    quick: _VerdictsOnly = False,
    interactions: _Interactions = False,
    disturb_daemon: _DisturbDaemon = False,
    stop_containers: _StopContainers = False,
    known: _Known = None,
    against: _Against = None,
    only: _Only = None,
    json_file: options.JsonFile = None,
    junit: options.Junit = None,
    output: options.Output = None,
    quiet: options.Quiet = False,
    wait: options.Wait = options.NO_WAIT,
    no_report: options.NoReport = False,
    results: options.Results = options.RESULTS,
) -> None:
    """Measure what every option of docker update really does: the truth table of this host.

    Exit status 1 if a limit that Docker says it set is not in force, or one that it refused is;
    2 if a part could not be measured, 3 if an option is inconclusive. What is known does not count.
    """
    if quick and disturb_daemon:
        raise typer.BadParameter("--quick leaves out survival, which --disturb-daemon is part of")
    if no_report and output is not None:
        raise typer.BadParameter("--no-report writes no page, so --output names nothing")
    if stop_containers and not disturb_daemon:
        raise typer.BadParameter("only --disturb-daemon stops containers: give both, or neither")
    forms.require(json_file, junit, page=output)
    from cgbench.cli import live
    from cgbench.commands import session
    from cgbench.commands import verify as verification

    terms = verification.terms(known, against, results)
    chosen = verification.chosen(names or (), disturb_daemon=disturb_daemon)
    with (
        live.progress(quiet=quiet) as (progress, detail),
        session.opened(
            results, progress=progress, detail=detail, remark=complain, wait_s=options.seconds(wait)
        ) as here,
    ):
        table = verification.verify(
            chosen, here, disturb_daemon=disturb_daemon, stop_containers=stop_containers,
            quick=quick,
        )  # fmt: skip
        if interactions:
            table = verification.with_interactions(table, here)
    places = verification.Forms(forms.file_of(junit), output, page=not no_report)
    verified = verification.keep(table, results, places, terms)
    found, lacks = verified.standing, table.unmeasured
    good = not (found.failing or found.undecided or lacks)
    if not _printed(verified, json_file, junit) and not (quiet and good):
        _show_table(verified, only)
    elif quiet:
        _say_needless(found)
    if not good:
        exits.end(exits.FAILED if found.failing else exits.ERROR if lacks else exits.UNDECIDED)


def _printed(verified: Verified, json_file: Path | None, junit: Path | None) -> bool:
    """Give JSON, and print JUnit XML where that was asked for; say whether one was printed."""
    from cgbench.commands.verify import junit_of

    table, found = verified.table, verified.standing
    as_json = give_json(table.to_json, json_file)
    return forms.give(lambda: junit_of(table, found), junit) or as_json


def _say_needless(found: Standing) -> None:
    from cgbench.reporting.words import standing

    for line in standing.needless(found):
        complain(line)


def _show_table(verified: Verified, only: options.Rows | None) -> None:
    from cgbench.cli import tables

    found = verified.standing
    tables.print_truth(verified.table, (*found.failing, *found.undecided) if only else None)
    tables.print_standing(found)
    say(f"\ntable: {verified.path}")
    if verified.page is not None:
        say(f"report: {verified.page}")
