"""The command line: parse, call, print, exit code. Heavy imports happen inside the commands."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cgbench.errors import CgbenchError

if TYPE_CHECKING:
    from cgbench.engine.engine import Engine
    from cgbench.judging.run import Run
    from cgbench.records.run import RunRecord
    from cgbench.records.run_directory import RunDirectory
    from cgbench.records.truth import TruthTable

EXIT_FAILED_TRIALS = 1
EXIT_ERROR = 2
EXIT_PRECONDITION = 3
EXIT_UNDECIDED = 3
EXIT_INTERRUPTED = 130

app = typer.Typer(
    help="Show what container resource limits really do: declared, enforced, experienced.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
image_app = typer.Typer(help="The image that all workloads share.", no_args_is_help=True)
app.add_typer(image_app, name="image")
baseline_app = typer.Typer(
    help="What later runs are compared with: small files to commit.", no_args_is_help=True
)
app.add_typer(baseline_app, name="baseline")

ResultsOption = Annotated[
    Path, typer.Option("--results", metavar="DIR", help="Where runs are kept.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
NoReportOption = Annotated[
    bool, typer.Option("--no-report", help="Leave the page to `cgbench report`, on any machine.")
]


def _known_metrics(names: list[str] | None) -> list[str] | None:
    """Refuse a name that is no metric before anything is read or measured."""
    if names:
        from cgbench.judging import sides

        sides.check_metrics(names)
    return names


MetricOption = Annotated[
    list[str] | None,
    typer.Option(
        "--metric", metavar="NAME", callback=_known_metrics, help="Compare by it; may be repeated."
    ),
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option("--allow", metavar="KEY", help="May differ: kernel, docker, runc, ...; again."),
]
EffectOption = Annotated[
    float, typer.Option("--effect", min=0.1, max=100, help="Smallest change that matters, in %.")
]
BudgetOption = Annotated[
    str, typer.Option("--budget", metavar="TIME", help="Measure no longer than this.")
]
JunitOption = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Write it as JUnit XML.")
]
MarkdownOption = Annotated[
    Path | None, typer.Option("--markdown", metavar="FILE", help="Write it as Markdown.")
]
JsonFileOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write it as JSON.")
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write a page with both distributions."),
]


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Say what this host offers, what it lacks, how noisy it is, and what to do about it.

    Exit status 3 if cpu-quota-sweep cannot run here.
    """
    from cgbench.commands.doctor import examine

    examination = examine()
    if as_json:
        _print(json.dumps(examination.to_json(), indent=2))
    else:
        _print(examination.to_text())
    if not examination.able:
        raise typer.Exit(EXIT_PRECONDITION)


@app.command("list")
def list_all(as_json: JsonOption = False, results: ResultsOption = Path("results")) -> None:
    """List the built-in experiments, the runs and the truth tables there are."""
    from cgbench.records.results import runs, truth_tables
    from cgbench.spec import experiment_file

    experiments = [experiment_file.load(name) for name in experiment_file.builtin_names()]
    kept = [(directory, directory.run()) for directory in runs(results)]
    tables = truth_tables(results)
    if as_json:
        document = {
            "experiments": [{"name": one.name, "title": one.title} for one in experiments],
            "runs": [
                {
                    "run": record.run,
                    "experiment": record.experiment.name,
                    "status": record.status,
                    "started": record.started,
                    "path": str(directory.path),
                }
                for directory, record in kept
            ],
            "truth_tables": [str(path) for path in tables],
        }
        _print(json.dumps(document, indent=2))
        return
    _print("Experiments (`cgbench show NAME` explains one):")
    for one in experiments:
        _print(f"  {one.name:<24} {one.title}")
    _print(f"\nRuns under {results}:" if kept else f"\nNo runs under {results} yet.")
    for directory, record in kept:
        done = sum(trial.status == "ok" for trial in directory.trials())
        _print(
            f"  {record.run}  {record.experiment.name:<20} {record.status:<11} "
            f"{done}/{record.trials_planned} trials"
        )
    for path in tables:
        _print(f"  {path.parent.name}  truth table")


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE|RUN", show_default=False)],
    as_json: JsonOption = False,
    results: ResultsOption = Path("results"),
) -> None:
    """Explain an experiment, or print the figures of a run."""
    from cgbench.host import description
    from cgbench.records.results import find_run
    from cgbench.spec import experiment_file

    if (
        name in experiment_file.builtin_names()
        or name.endswith(".toml")
        or not _is_run(name, results)
    ):
        loaded = experiment_file.load(name)
        if as_json:
            _print(loaded.model_dump_json(indent=2))
        else:
            _print(experiment_file.explain(loaded, description.cpus()))
        return
    directory = find_run(name, results)
    from cgbench.judging.run import load

    run = load(directory)
    record = run.record
    if as_json:
        document = {
            "schema_version": record.schema_version,
            "run": record.run,
            "experiment": record.experiment.name,
            "status": record.status,
            "summary": [one.to_json() for one in run.summary],
            "rows": [row._asdict() for row in run.rows],
        }
        _print(json.dumps(document, indent=1, allow_nan=False))
        return
    _print_run(run)


@app.command()
def run(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME|FILE...", show_default=False)
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer trials, shorter holds.")] = False,
    trials: Annotated[
        int | None, typer.Option(min=1, max=1000, help="How many trials, instead of the file's.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the trials' order; told in run.json.")
    ] = None,
    results: ResultsOption = Path("results"),
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Measure only what this run lacks.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per run at the end.")
    ] = False,
    no_report: NoReportOption = False,
) -> None:
    """Run experiments and write a report for each.

    Exit status 1 if a trial failed, 3 if this host lacks what an experiment requires.
    """
    if bool(names) == bool(resume):
        raise typer.BadParameter("give experiments to run, or --resume RUN, one of both")
    from cgbench.engine.engine import Engine
    from cgbench.host import lock, preconditions
    from cgbench.measuring import run as runner
    from cgbench.spec import experiment_file

    loaded = [experiment_file.load(name) for name in names or ()]
    preconditions.require_measurable()
    measured: list[tuple[RunDirectory, RunRecord]] = []
    try:
        with lock.exclusively():
            engine = Engine()
            try:
                # Nobody else holds the lock, so what is there was left by a cgbench that died.
                _remove_leftovers(engine)
                if resume is not None:
                    from cgbench.records.results import find_run

                    directory = find_run(resume, results)
                    record = runner.resumable(directory, engine)
                    _require_image(engine, record.image)
                    measured.append((directory, _measure(directory, record, engine, as_json)))
                for one in loaded:
                    request = _request(one, engine, results, quick, trials, seed)
                    directory = runner.begin(request, engine, preconditions.require(one.requires))
                    record = directory.run()
                    measured.append((directory, _measure(directory, record, engine, as_json)))
            finally:
                engine.close()
    finally:
        # After all measuring, since figures and pages need much that must not weigh on it; and
        # also when a later experiment cannot be measured.
        failed = [_present(*one, as_json, no_report) for one in measured]
    if any(failed):
        raise typer.Exit(EXIT_FAILED_TRIALS)


def _request(
    loaded: Any, engine: Engine, results: Path, quick: bool, trials: int | None, seed: int | None
) -> Any:
    """Return the runner's request for one experiment, with the command line's wishes applied."""
    import secrets

    from cgbench.engine import image
    from cgbench.measuring import run as runner
    from cgbench.spec import workload

    tag = image.tag(workload.directory())
    _require_image(engine, tag)
    shaped = loaded.shortened() if quick else loaded
    if trials is not None:
        shaped = shaped.model_copy(update={"trials": trials})
    chosen = secrets.randbelow(2**31) if seed is None else seed
    return runner.Request(shaped, tag, results, chosen, quick)


def _require_image(engine: Engine, tag: str) -> None:
    from cgbench.errors import ImageError

    if not engine.images.has_image(tag):
        raise ImageError(f"the image {tag} is missing", "Build it: cgbench image build.")


def _measure(
    directory: RunDirectory, record: RunRecord, engine: Engine, as_json: bool
) -> RunRecord:
    """Measure a run and return its final record."""
    from cgbench.cli import live
    from cgbench.measuring import run as runner

    with live.display(quiet=as_json) as observer:
        return runner.execute(directory, record, engine, observer)


def _present(directory: RunDirectory, record: RunRecord, as_json: bool, no_report: bool) -> bool:
    """Write a run's figures and report, say where; return whether a trial failed."""
    from cgbench.judging.run import load

    run = load(directory)
    page: Path | None = None
    told: list[str] = []
    if not no_report:
        from cgbench.reporting.render import write
        from cgbench.reporting.words.headline import sentences

        page = write([run], directory.path / "report.html")
        told = sentences(run)
    if as_json:
        document = {
            "run": record.run,
            "path": str(directory.path),
            "report": None if page is None else str(page),
            "trials": len(run.trials),
            "failed": [{"trial": trial.number, "reason": trial.reason} for trial in run.failed],
            "headline": told,
        }
        _print(json.dumps(document))
    elif page is None:
        _print(f"\nmeasured: {directory.path}\nIts page: cgbench report {record.run}")
    else:
        _print_run(run)
        _print("\n" + "\n".join(told))
        _print(f"\nreport: {page}")
    return bool(run.failed)


def _print_run(run: Run) -> None:
    from cgbench.cli import tables

    tables.print_summary(run)


@app.command()
def report(
    names: Annotated[list[str], typer.Argument(metavar="RUN...", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")
    ] = None,
    results: ResultsOption = Path("results"),
) -> None:
    """Write one self-contained HTML page from one or many runs, of one or many hosts.

    A RUN may also be what `cgbench verify` left: truth.json, its directory, or its name. What
    several hosts have measured is laid side by side.
    """
    from cgbench.judging.run import load
    from cgbench.records import truth
    from cgbench.records.results import find_run, find_truth
    from cgbench.reporting.render import write

    found = [(name, find_truth(name, results)) for name in names]
    tables = [path for _name, path in found if path is not None]
    runs = [load(find_run(name, results)) for name, path in found if path is None]
    beside = tables[0].parent if tables else runs[0].directory.path
    written = write(runs, output or beside / "report.html", [truth.read(path) for path in tables])
    _print(f"report: {written}")


@app.command()
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
    as_json: JsonOption = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where the page goes.")
    ] = None,
    results: ResultsOption = Path("results"),
) -> None:
    """Show a metric across all runs: when it changed, and what changed beneath it.

    Needs the extra: pip install 'cgbench[history]'.
    """
    from cgbench.judging import history as trends

    found = trends.read(results, trends.Wanted(metric, name, role, requested))
    from cgbench.reporting.render import write_history

    page = write_history(found, output or results / f"history-{metric}.html")
    if as_json:
        _print(json.dumps(found.to_json() | {"report": str(page)}, indent=1, allow_nan=False))
        return
    from cgbench.cli import tables

    tables.print_history(found)
    _print(f"\nreport: {page}")


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="OPTION...", show_default=False)
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Verdicts only: no bounds, births, survival.")
    ] = False,
    interactions: Annotated[
        bool, typer.Option("--interactions", help="Also set every option after every other.")
    ] = False,
    disturb_daemon: Annotated[
        bool, typer.Option("--disturb-daemon", help="Also reload systemd, restart Docker.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the table as JSON.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write it as JUnit XML.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where the page goes.")
    ] = None,
    no_report: NoReportOption = False,
    results: ResultsOption = Path("results"),
) -> None:
    """Measure what every option of docker update really does: the truth table of this host.

    Exit status 1 if a limit that Docker says it set is not in force.
    """
    if quick and disturb_daemon:
        raise typer.BadParameter("--quick leaves out survival, which --disturb-daemon is part of")
    if no_report and output is not None:
        raise typer.BadParameter("--no-report writes no page, so --output has nothing to name")
    from cgbench.cli import tables
    from cgbench.host import preconditions
    from cgbench.measuring.idle import survival
    from cgbench.records import files
    from cgbench.records.results import TRUTH, new_run_name
    from cgbench.spec import options

    chosen = [options.option(name).name for name in names] if names else list(options.OPTIONS)
    if disturb_daemon:
        # Refused before anything is measured, where nobody knows how to restart the daemon.
        survival.by_systemd()
    preconditions.require_measurable()
    table = _verified(chosen, results, interactions, disturb_daemon, quick)
    directory = results / "verify" / new_run_name()
    kept = files.write_file(directory / TRUTH, json.dumps(table.to_json(), indent=1))
    if json_file is not None:
        files.write_file(json_file, json.dumps(table.to_json(), indent=1))
    if junit is not None:
        files.write_file(junit, table.to_junit())
    tables.print_truth(table)
    _print(f"\ntable: {kept}")
    if not no_report:
        from cgbench.reporting.render import write_truth

        _print(f"report: {write_truth([table], output or directory / 'report.html')}")
    if table.not_in_force:
        raise typer.Exit(EXIT_FAILED_TRIALS)


def _verified(
    chosen: list[str], results: Path, interactions: bool, disturb_daemon: bool, quick: bool
) -> TruthTable:
    """Measure the truth table, alone on the host and with progress shown."""
    import secrets

    from cgbench.cli import live
    from cgbench.commands import session
    from cgbench.commands import verify as verification
    from cgbench.engine import image
    from cgbench.engine.engine import Engine
    from cgbench.host import lock
    from cgbench.spec import workload

    with lock.exclusively(), live.telling() as (tell, detail):
        engine = Engine()
        try:
            _remove_leftovers(engine)
            tag = image.tag(workload.directory())
            _require_image(engine, tag)
            seed = secrets.randbelow(2**31)
            bench = session.Session(engine, tag, results, seed, tell, detail)
            table = verification.verify(chosen, bench, disturb_daemon=disturb_daemon, quick=quick)
            return verification.with_interactions(table, bench) if interactions else table
        finally:
            engine.close()


@baseline_app.command("set")
def baseline_set(
    run_name: Annotated[str, typer.Argument(metavar="RUN", show_default=False)],
    name: Annotated[
        str | None, typer.Option("--name", metavar="N", help="Its name; the experiment's if none.")
    ] = None,
    metric: MetricOption = None,
    results: ResultsOption = Path("results"),
) -> None:
    """Keep a run's trials as the baseline to compare later runs with."""
    from cgbench.judging import sides
    from cgbench.judging.run import load
    from cgbench.records import baseline
    from cgbench.records.results import find_run

    run = load(find_run(run_name, results))
    kept = sides.of_run(run, name or run.record.experiment.name, metric or ())
    path = baseline.write(kept, results)
    _print(f"baseline: {path} ({len(kept.repetitions)} trials, {len(kept.series)} series)")


@baseline_app.command("list")
def baseline_list(as_json: JsonOption = False, results: ResultsOption = Path("results")) -> None:
    """List the baselines there are."""
    from cgbench.records import baseline

    found = [baseline.find(name, results) for name in baseline.names(results)]
    if as_json:
        keys = ("name", "experiment", "run", "started")
        told = [
            {key: getattr(one, key) for key in keys} | {"trials": len(one.repetitions)}
            for one in found
        ]
        _print(json.dumps(told, indent=2))
        return
    if not found:
        _print(f"No baselines under {results / baseline.FOLDER} yet.")
    for one in found:
        _print(
            f"{one.name:<24} {one.experiment:<20} {len(one.repetitions):>3} trials  "
            f"{one.started[:10]}  {one.host.hostname}"
        )


@baseline_app.command("show")
def baseline_show(
    name: Annotated[str, typer.Argument(metavar="N|FILE", show_default=False)],
    as_json: JsonOption = False,
    results: ResultsOption = Path("results"),
) -> None:
    """Print what a baseline holds."""
    from cgbench.cli import tables
    from cgbench.records import baseline

    found = baseline.find(name, results)
    if as_json:
        _print(found.to_text().rstrip())
    else:
        tables.print_baseline(found)


@app.command()
def compare(
    before: Annotated[str, typer.Argument(metavar="BASELINE", show_default=False)],
    after: Annotated[str, typer.Argument(metavar="CANDIDATE", show_default=False)],
    allow: AllowOption = None,
    effect: EffectOption = 2.0,
    metric: MetricOption = None,
    junit: JunitOption = None,
    markdown: MarkdownOption = None,
    json_file: JsonFileOption = None,
    output: OutputOption = None,
    results: ResultsOption = Path("results"),
) -> None:
    """Judge a candidate run against a baseline: did anything get worse?

    Either may be a baseline's name or file, or a run. Exit status 1 if a metric regressed, 3 if
    nothing can be said.
    """
    from cgbench.judging import comparison

    left, right = (_side(name, metric or [], results) for name in (before, after))
    found = comparison.compare(left, right, allow=allow or (), effect=effect / 100)
    _tell_comparison([found], junit, markdown, json_file, output)


def _side(name: str, metrics: list[str], results: Path) -> Any:
    """Return one side of a comparison: a baseline by file or name, else a run."""
    from cgbench.judging import sides
    from cgbench.judging.run import load
    from cgbench.records import baseline
    from cgbench.records.results import find_run

    if Path(name).is_file() or name in baseline.names(results):
        return sides.narrowed(baseline.find(name, results), metrics)
    return sides.of_run(load(find_run(name, results)), names=metrics)


@app.command()
def gate(
    names: Annotated[list[str], typer.Argument(metavar="NAME|FILE...", show_default=False)],
    against: Annotated[
        str | None,
        typer.Option("--baseline", metavar="N|FILE", help="The experiment's name if not given."),
    ] = None,
    budget: BudgetOption = "5m",
    allow: AllowOption = None,
    effect: EffectOption = 2.0,
    quick: Annotated[bool, typer.Option("--quick", help="Shorter holds.")] = False,
    junit: JunitOption = None,
    markdown: MarkdownOption = None,
    json_file: JsonFileOption = None,
    output: OutputOption = None,
    results: ResultsOption = Path("results"),
) -> None:
    """Measure until it is certain whether anything got worse than the baseline.

    What looks regressed is measured again before it is told. Exit status 1 if a metric
    regressed, 3 if nothing can be said.
    """
    from cgbench.commands import gate
    from cgbench.records import baseline
    from cgbench.spec import experiment_file

    loaded = [experiment_file.load(name) for name in names]
    chosen = [baseline.find(against or one.name, results) for one in loaded]
    budget_s = _seconds(budget)

    def measured(site: Any) -> list[Any]:
        return [
            gate.gate(
                one.shortened() if quick else one,
                gate.Terms(kept, tuple(allow or ()), budget_s, effect / 100),
                site,
            )
            for one, kept in zip(loaded, chosen, strict=True)
        ]

    _tell_comparison(_on_site(measured, results), junit, markdown, json_file, output)


@app.command()
def ab(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", show_default=False)],
    a: Annotated[str, typer.Option("--a", metavar="COMMAND", help="Puts the host into state A.")],
    b: Annotated[str, typer.Option("--b", metavar="COMMAND", help="Puts the host into state B.")],
    budget: BudgetOption = "5m",
    effect: EffectOption = 2.0,
    metric: MetricOption = None,
    quick: Annotated[bool, typer.Option("--quick", help="Shorter holds.")] = False,
    junit: JunitOption = None,
    markdown: MarkdownOption = None,
    json_file: JsonFileOption = None,
    output: OutputOption = None,
    results: ResultsOption = Path("results"),
) -> None:
    """Compare two states of this host by trials that alternate: the most sensitive comparison.

    Each command runs before each trial of its side. Exit status 1 if B is worse in a metric, 3 if
    nothing can be said.
    """
    from cgbench.commands import ab as paired
    from cgbench.spec import experiment_file

    loaded = experiment_file.load(name)
    shaped = loaded.shortened() if quick else loaded
    compared = paired.Sides(a, b, tuple(metric or ()), _seconds(budget), effect / 100)
    found = _on_site(lambda site: [paired.ab(shaped, compared, site)], results)
    _tell_comparison(found, junit, markdown, json_file, output)


def _seconds(text: str) -> float:
    from cgbench.units import NS_PER_S, parse_duration

    return parse_duration(text) / NS_PER_S


def _on_site(measure: Callable[[Any], list[Any]], results: Path) -> list[Any]:
    """Measure alone on the host, with progress shown."""
    import secrets

    from cgbench.cli import live
    from cgbench.commands import session
    from cgbench.engine import image
    from cgbench.engine.engine import Engine
    from cgbench.host import lock, preconditions
    from cgbench.spec import workload

    preconditions.require_measurable()
    with lock.exclusively(), live.telling() as (tell, _detail):
        engine = Engine()
        try:
            _remove_leftovers(engine)
            tag = image.tag(workload.directory())
            _require_image(engine, tag)
            return measure(session.Session(engine, tag, results, secrets.randbelow(2**31), tell))
        finally:
            engine.close()


def _tell_comparison(
    found: list[Any],
    junit: Path | None,
    markdown: Path | None,
    json_file: Path | None,
    output: Path | None,
) -> None:
    """Print comparisons, write them where asked, and exit with the worst judgement's status."""
    import os

    from cgbench.cli import tables
    from cgbench.judging.comparison import Judgement
    from cgbench.records import files
    from cgbench.reporting.words import comparison as comparison_words

    tables.print_comparisons(found)
    if junit is not None:
        files.write_file(junit, comparison_words.junit(found))
    if json_file is not None:
        told = [one.to_json() for one in found]
        files.write_file(json_file, json.dumps(told, indent=1, allow_nan=False) + "\n")
    if markdown is not None:
        files.write_file(markdown, comparison_words.markdown(found))
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        files.append_file(Path(summary), comparison_words.markdown(found))
    if output is not None:
        from cgbench.reporting.render import write_comparisons

        _print(f"page: {write_comparisons(found, output)}")
    overall = {one.overall for one in found}
    if Judgement.REGRESSED in overall:
        raise typer.Exit(EXIT_FAILED_TRIALS)
    if overall & {Judgement.INCONCLUSIVE, Judgement.INCOMPARABLE}:
        raise typer.Exit(EXIT_UNDECIDED)


@app.command()
def clean(
    force: Annotated[
        bool, typer.Option("--force", help="Also what a cgbench that still runs has started.")
    ] = False,
) -> None:
    """Remove every container, file, device, swap and cgroup that a killed cgbench left behind.

    Results stay.
    """
    import contextlib

    from cgbench.engine.engine import Engine
    from cgbench.errors import DockerUnavailable
    from cgbench.host import lock
    from cgbench.host.scratch import leftovers

    with contextlib.nullcontext() if force else lock.exclusively():
        try:
            engine = Engine()
        except DockerUnavailable:
            # Devices and swap can be given back without it.
            leftovers.give_back()
            raise
        try:
            containers, directories, lent = _remove_leftovers(engine)
        finally:
            engine.close()
    _print(
        f"removed {containers} container(s), {directories} scratch director(ies) "
        f"and {lent} scratch device(s), swap(s) or cgroup(s)"
    )


def _remove_leftovers(engine: Engine) -> tuple[int, int, int]:
    """Remove containers, scratch directories, and what was lent; return how many of each."""
    import contextlib
    import shutil

    from cgbench.engine import base_image
    from cgbench.host import lock
    from cgbench.host.scratch import leftovers

    containers, directories = engine.leftovers(), lock.scratch_leftovers()
    base_image.sweep()
    for container in containers:
        engine.remove(container)
    for path in directories:
        # Whoever made it may remove it just now.
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)
    # Last: devices and cgroups are free only when no container uses them.
    return len(containers), len(directories), len(leftovers.give_back())


@app.command()
def schema() -> None:
    """Print the JSON Schema of experiment files, for editors."""
    from cgbench.spec import experiment_file

    _print(json.dumps(experiment_file.json_schema(), indent=2))


@image_app.command("build")
def image_build() -> None:
    """Build the workload image, with a registry or without; quick when it is there already."""
    from cgbench.engine import image
    from cgbench.engine.engine import Engine
    from cgbench.spec import workload

    engine = Engine()
    _print(image.build(engine.images, workload.directory(), lambda line: _print(f"  {line}")))
    engine.close()


def _is_run(name: str, results: Path) -> bool:
    from cgbench.records.results import runs

    return Path(name).is_dir() or any(run.path.name.startswith(name) for run in runs(results))


def _print(text: str) -> None:
    typer.echo(text)


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM; not KeyboardInterrupt, which typer would turn into exit status 1."""


def _interrupted(_number: int, _frame: object) -> None:
    """Begin to stop; a second Ctrl-C must not cut the cleaning up short."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Interrupted


def main() -> None:
    """Run the command line and exit; errors of ours become two lines, never a traceback."""
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGINT, _interrupted)
    try:
        app()
    except CgbenchError as error:
        typer.echo(f"cgbench: {error}", err=True)
        sys.exit(error.exit_code)
    except Interrupted:
        typer.echo("cgbench: interrupted; finished trials are kept (--resume goes on)", err=True)
        sys.exit(EXIT_INTERRUPTED)
