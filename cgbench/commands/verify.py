"""The truth table of this host: every option measured, with its verdict and the evidence."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cgbench.commands import effects as watching
from cgbench.commands.session import Session
from cgbench.engine import endpoint
from cgbench.errors import CgroupError, EngineError, StoreError
from cgbench.host import description, preconditions
from cgbench.judging import lifted, undone, verdict
from cgbench.judging.run import load
from cgbench.judging.standing import Standing, standing
from cgbench.measuring import run
from cgbench.measuring.idle import (
    born,
    bounds,
    daemon_restart,
    interactions,
    lifting,
    side_by_side,
    states,
    survival,
)
from cgbench.measuring.idle.containers import HANDS, Supply
from cgbench.measuring.progress import Silent
from cgbench.records import known as known_verdicts
from cgbench.records import truth, writing
from cgbench.records.idle_findings import Stage
from cgbench.records.known import Known
from cgbench.records.results import TRUTH, find_truth, new_run_name
from cgbench.records.truth import Row, TruthTable
from cgbench.records.verdict import Outcome, Verdict
from cgbench.reporting import junit
from cgbench.reporting.words.standing import excuses
from cgbench.spec import experiment_file
from cgbench.spec import options as registry
from cgbench.spec.experiment import Experiment
from cgbench.spec.option import Option
from cgbench.spec.options import OPTIONS
from cgbench.spec.precondition import Precondition

AGAIN = 2
"""How often an experiment is measured again where a disturbed host leaves a verdict open."""


def experiments(options: Sequence[str]) -> list[tuple[Experiment, tuple[str, ...]]]:
    """Return the built-in experiments that judge the given options, each with those it judges."""
    found = []
    for name in experiment_file.builtin_names():
        loaded = experiment_file.load(name)
        judged = tuple(
            option
            for option in (loaded.verify.options if loaded.verify else ())
            if option in options
        )
        if judged:
            found.append((loaded, judged))
    return found


def effects(options: Sequence[str], session: Session) -> Iterator[Verdict]:
    """Run the experiments that judge `options` in short form and yield a verdict on each.

    A verdict that a disturbed host leaves inconclusive is measured again, twice at most.
    """
    for loaded, judged in experiments(options):
        assert loaded.verify is not None
        met = preconditions.preconditions({*loaded.requires, *loaded.verify.needs})
        lacking = [name for name in loaded.requires if not met[str(name)]]
        if lacking:
            for option in judged:
                yield verdict.unsupported(
                    loaded, option, preconditions.reason(Precondition(lacking[0]))
                )
            continue
        yield from _decided(loaded, judged, met, session)


def _decided(
    loaded: Experiment, judged: Sequence[str], met: dict[str, bool], session: Session
) -> list[Verdict]:
    """Return verdicts, those left inconclusive by a later measurement; the others stand."""
    verdicts = _measured(loaded, judged, met, session)
    for _ in range(AGAIN):
        undecided = [one for one in verdicts if one.verdict is Outcome.INCONCLUSIVE]
        if not undecided:
            break
        session.progress(f"{loaded.name}: measured again, {undecided[0].reason}")
        again = {one.option: one for one in _measured(loaded, judged, met, session)}
        verdicts = [again[one.option] if one in undecided else one for one in verdicts]
    return verdicts


def _measured(
    loaded: Experiment, judged: Sequence[str], met: dict[str, bool], session: Session
) -> list[Verdict]:
    session.progress(f"{loaded.name}: {', '.join(f'--{option}' for option in judged)}")
    request = run.Request(
        loaded.for_verify(),
        session.image,
        session.results,
        session.seed,
        quick=True,
        purpose="verify",
    )
    directory = run.begin(request, session.engine, met)
    run.execute(directory, directory.run(), session.engine, Silent())
    measured = load(directory)
    measured.keep_rows()
    return [verdict.judge(measured, option) for option in judged]


def verify(
    options: Sequence[str],
    session: Session,
    *,
    disturb_daemon: bool = False,
    stop_containers: bool = False,
    quick: bool = False,
) -> TruthTable:
    """Measure what each of the given options really does here; in the registry's order.

    `quick` stops at the verdicts: no bounds, no liftings, no births, no survival, no states.

    `disturb_daemon` has systemd read its units anew and restarts the daemon, to see which values
    survive that; `stop_containers` allows that others' containers stop with it.
    """
    if disturb_daemon:
        daemon_restart.require_consent(session.engine, stop_containers=stop_containers)
    started, begin = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    chosen = [OPTIONS[name] for name in OPTIONS if name in options]
    verdicts = {one.option: one for one in effects(options, session)}
    rows = {one.name: Row(verdict=verdicts[one.name]) for one in chosen}
    lacking = _Lacking(session)
    if not quick:
        rows = _with_idle_parts(rows, session, lacking)
    if disturb_daemon:
        session.progress("a restart of the daemon")
        with lacking.at("a restart of the daemon"):
            stages = daemon_restart.across_daemon_restart(
                chosen, session.site(), progress=session.detail, stop_containers=stop_containers
            )
            rows = {name: _with_stages(row, stages.get(name, ())) for name, row in rows.items()}
    rows = {name: lifted.by_liftings(undone.by_survival(row)) for name, row in rows.items()}
    return TruthTable(
        host=description.describe(session.engine.describe()),
        started=started,
        elapsed_s=round(time.monotonic() - begin, 1),
        rows=tuple(rows.values()),
        unmeasured=tuple(lacking.why),
    )


@dataclass(frozen=True)
class _Lacking:
    """What was not measured since Docker or the kernel failed: verdicts outlast that."""

    session: Session
    why: list[str] = field(default_factory=list)

    @contextmanager
    def at(self, what: str) -> Iterator[None]:
        """Go on after a failure of Docker or the kernel, and keep the reason."""
        try:
            yield
        except (CgroupError, EngineError) as error:
            self.why.append(f"{what}: {error.message}")
            self.session.progress(f"{what}: not measured, {error.message}")


def _with_idle_parts(
    rows: Mapping[str, Row], session: Session, lacking: _Lacking
) -> dict[str, Row]:
    """Add what idle containers show of each option, to most of which other ones are no matter.

    Whether a value survives is measured last, where nothing else starts or ends a container.
    """
    chosen = [OPTIONS[name] for name in rows]
    # On an emulated CPU a daemon that is asked for much at once takes minutes to answer.
    alone = description.describe(session.engine.describe()).emulated
    found = dict(rows)

    def parts(one: Option, supply: Supply) -> None:
        for part, words, measure in _PARTS:
            with lacking.at(f"{one.flag}: {words}"):
                added = {part: measure(one, supply)}
                found[one.name] = found[one.name].model_copy(update=added)

    with lacking.at("idle containers"):
        side_by_side.measured(
            chosen,
            parts,
            session.site,
            begun=lambda flags: session.progress(
                f"{flags}: bounds, lifting, born against changed, states"
            ),
            detail=session.detail,
            at_once=1 if alone else side_by_side.AT_ONCE,
        )
    session.progress("survival of all values")
    hands = 1 if alone else HANDS
    with (
        lacking.at("survival"),
        Supply(session.site(), ahead=0, progress=session.detail, hands=hands) as supply,
    ):
        for name, (first, *further) in survival.measure(chosen, supply, hands).items():
            survivals = {"survival": first, "further_survival": tuple(further)}
            found[name] = found[name].model_copy(update=survivals)
    return found


_PARTS: tuple[tuple[str, str, Callable[[Option, Supply], object]], ...] = (
    ("bounds", "bounds", lambda one, supply: bounds.measure(one, supply)),
    ("born_vs_changed", "births", lambda one, supply: born.born_vs_changed(one, supply)),
    ("states", "states", lambda one, supply: states.measure(one, supply)),
    ("liftings", "liftings", lambda one, supply: lifting.measure(one, supply)),
)


def with_interactions(table: TruthTable, session: Session) -> TruthTable:
    """Add what every option does to every other that was set before it, and to its effect."""
    begin, met, lacking = time.monotonic(), table, _Lacking(session)
    session.progress("interactions")
    with (
        lacking.at("interactions"),
        Supply(session.site(), progress=session.detail) as supply,
    ):
        found = interactions.matrix([OPTIONS[row.verdict.option] for row in table.rows], supply)
        met = table.model_copy(update={"interactions": found})
    session.progress("effects beside other updates")
    with lacking.at("effects beside other updates"):
        met = watching.watched(met, session)
    more = {
        "elapsed_s": round(table.elapsed_s + time.monotonic() - begin, 1),
        "unmeasured": (*table.unmeasured, *lacking.why),
    }
    return undone.by_interactions(met.model_copy(update=more))


def _with_stages(row: Row, stages: Sequence[Sequence[Stage]]) -> Row:
    """Add what each value of an option went through with the daemon."""
    if not stages or row.survival is None:
        return row
    survived, *further = (
        one.model_copy(update={"stages": (*one.stages, *more)})
        for one, more in zip(row.survivals, stages, strict=True)
    )
    return row.model_copy(update={"survival": survived, "further_survival": tuple(further)})


@dataclass(frozen=True)
class Terms:
    """What is not held against a table: what somebody knows, and what was so before."""

    known: tuple[Known, ...] = ()
    before: TruthTable | None = None


def terms(known: Path | None, against: str | None, results: Path) -> Terms:
    """Read what is not held against a table, before anything is measured.

    Raises StoreError where a file is not what it should be, or `against` names no table.
    """
    before = None
    if against is not None:
        path = find_truth(against, results)
        if path is None:
            raise StoreError(f"no truth table is called {against}", "List them: cgbench list.")
        before = truth.read(path)
    return Terms(() if known is None else known_verdicts.read(known), before)


@dataclass(frozen=True)
class Forms:
    """Where the table goes beside its place among the results; `page` if one is written at all."""

    junit: Path | None = None
    output: Path | None = None
    page: bool = True


@dataclass(frozen=True)
class Verified:
    """A measured truth table, what of it counts, where it is kept, and its page if there is one."""

    table: TruthTable
    standing: Standing
    path: Path
    page: Path | None = None


def keep(table: TruthTable, results: Path, forms: Forms, on: Terms) -> Verified:
    """Write a table among the results, and in every form that was asked for."""
    today = datetime.now(UTC).date()
    found = standing(table, on.known, today, on.before)
    directory = results / "verify" / new_run_name()
    text = json.dumps(table.to_json(), indent=1) + "\n"
    kept = writing.write_file(directory / TRUTH, text)
    if forms.junit is not None:
        writing.write_named(forms.junit, junit_of(table, found))
    if not forms.page:
        return Verified(table, found, kept)
    # Here and not above: drawing needs much that must not weigh on measuring.
    from cgbench.reporting.render import write_truth

    page = write_truth([table], forms.output or directory / "report.html")
    return Verified(table, found, kept, page)


def junit_of(table: TruthTable, found: Standing) -> str:
    """Return a table as JUnit XML, in which what does not count is skipped."""
    return junit.of_truth(table, excuses(found))


def chosen(names: Sequence[str], *, disturb_daemon: bool) -> list[str]:
    """Return the options to measure, all if none is named, before anything is measured.

    Raises PreconditionError where `disturb_daemon` is set and nobody knows how to restart the
    daemon that is measured.
    """
    found = [registry.of_update(name).name for name in names] or list(OPTIONS)
    if disturb_daemon:
        daemon_restart.by_systemd(endpoint.choose().path)
    return found
