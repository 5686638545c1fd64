"""What is called on a damaged input: the functions that the commands call, in this process."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from cgbench.cli import baseline as baselines
from cgbench.cli import results, tables, terminal
from cgbench.cli.terminal import PRINTED
from cgbench.commands import atlas, compare, history, listing, outputs, report, show
from cgbench.commands import baseline as keeping
from cgbench.errors import CgbenchError
from cgbench.judging import comparison, sides
from cgbench.judging.history import Wanted
from cgbench.judging.run import load
from cgbench.records import baseline, truth
from cgbench.records.run_directory import RunDirectory
from cgbench.reporting import junit
from cgbench.reporting.words import headline
from cgbench.spec import emulated, experiment_file
from tests.fuzz.inputs import GOLDEN
from tests.fuzz.outputs import Finding, check_markdown, check_page, check_text, check_xml

LONGEST_MESSAGE = 4000


@contextlib.contextmanager
def _printed() -> Iterator[None]:
    """Look at all that is printed."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        yield
    check_text(shown.getvalue(), "the output")


def _experiment(folder: Path) -> None:
    one = experiment_file.load(str(folder / "x.toml"))
    experiment_file.explain(one, 64)
    experiment_file.explain(one.shortened(), 64)
    experiment_file.explain(emulated.slowed(one), 64)
    one.model_dump_json()
    with _printed():
        results.show(str(folder / "x.toml"))
        results.show(str(folder / "x.toml"), json_file=PRINTED)


def _loaded(folder: Path) -> None:
    run = load(RunDirectory(folder))
    headline.sentences(run)
    json.dumps([row._asdict() for row in run.rows], allow_nan=False)
    left = sides.of_run(run, "kept", ["cpus_used"])
    comparison.compare(left, left).to_json()


def _shown(folder: Path) -> None:
    shown = show.show(str(folder), folder)
    json.dumps(shown.to_json() if isinstance(shown, show.Figures) else "", allow_nan=False)
    if isinstance(shown, show.Figures):
        with _printed():
            tables.print_summary(shown.run)


def _listed(folder: Path) -> None:
    json.dumps(listing.listing(folder.parent.parent).to_json(), allow_nan=False)
    with _printed():
        results.list_all(results=folder.parent.parent)


def _traced(folder: Path) -> None:
    with _printed():
        found = history.history(Wanted("cpus_used"), folder.parent.parent, folder / "page.html")
        tables.print_history(found.history)
    check_page(folder / "page.html")


def _reported(folder: Path) -> None:
    report.report([str(folder)], folder / "page.html", folder)
    check_page(folder / "page.html")


def _kept(folder: Path) -> None:
    keeping.keep(str(folder), "kept", [], folder)
    with _printed():
        baselines.list_all(results=folder)


def _baseline(folder: Path) -> None:
    path = folder / "baseline.json"
    other = GOLDEN / "baselines" / "golden-quota.json"
    for before, after in ((path, other), (other, path)):
        found = compare.compare(str(before), str(after), folder)
        with _printed():
            tables.print_comparisons([found])
            terminal.give_json(found.to_json, PRINTED)
        forms = outputs.Outputs(folder / "junit.xml", folder / "x.md", folder / "page.html")
        outputs.write([found], forms)
        check_xml(folder / "junit.xml")
        check_markdown(folder / "x.md")
        check_page(folder / "page.html")
    with _printed():
        tables.print_baseline(baseline.find(str(path), folder))


def _truth(folder: Path) -> None:
    report.report([str(folder / "truth.json")], folder / "page.html", folder)
    check_page(folder / "page.html")
    table = truth.read(folder / "truth.json")
    with _printed():
        tables.print_truth(table)
    (folder / "junit.xml").write_text(junit.of_truth(table))
    check_xml(folder / "junit.xml")
    rows = folder / "rows"
    # Most of what is damaged contradicts itself, and becomes no row.
    with contextlib.suppress(CgbenchError):
        atlas.add(str(folder / "truth.json"), atlas.Addition("damaged"), rows, folder)
    atlas.write_page(atlas.gathered(rows), [table], folder / "atlas.html", folder)
    check_page(folder / "atlas.html")


CALLS: Mapping[str, tuple[Callable[[Path], None], ...]] = {
    "experiment": (_experiment,),
    "run": (_loaded, _shown, _listed, _reported, _kept, _traced),
    "baseline": (_baseline,),
    "truth": (_truth,),
}


def answer(kind: str, folder: Path) -> str:
    """Call all that reads an input; return the first error, `read` if there is none.

    Raises Finding for an error that is not one clear line, and whatever else was raised.
    """
    first = "read"
    for call in CALLS[kind]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                call(folder)
        except CgbenchError as error:
            lines = str(error).splitlines()
            if not 1 <= len(lines) <= 2 or len(str(error)) > LONGEST_MESSAGE:
                raise Finding(f"{len(lines)} lines, {len(str(error))} characters") from error
            check_text(str(error), "the error")
            first = lines[0] if first == "read" else first
    return first
