"""The truth table of this host: every option measured, with its verdict and the evidence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cgbench.engine.engine import Engine
from cgbench.host import description, preconditions
from cgbench.judging import rows as metrics
from cgbench.judging import verdict
from cgbench.measuring import run
from cgbench.measuring.idle import bounds, interactions, survival
from cgbench.measuring.idle.containers import Supply, World
from cgbench.records.idle_findings import Stage
from cgbench.records.results import new_run_name
from cgbench.records.truth import Row, TruthTable
from cgbench.records.verdict import Outcome, Verdict
from cgbench.spec import experiment_file
from cgbench.spec.experiment import Experiment, Precondition
from cgbench.spec.options import OPTIONS

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """What all examinations share: the daemon, the image, where runs are kept, and the seed.

    `tell` is told what is measured next, `detail` every single try.
    """

    engine: Engine
    image: str
    results: Path
    seed: int
    tell: Tell
    detail: Tell


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


def effects(options: Sequence[str], bench: Bench) -> Iterator[Verdict]:
    """Run the experiments that judge `options` in short form and yield a verdict on each.

    A verdict that a disturbed host leaves inconclusive is measured a second time.
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
        verdicts = _measured(loaded, judged, met, bench)
        if any(one.verdict is Outcome.INCONCLUSIVE for one in verdicts):
            bench.tell(f"{loaded.name}: measured again, {verdicts[0].reason}")
            verdicts = _measured(loaded, judged, met, bench)
        yield from verdicts


def _measured(
    loaded: Experiment, judged: Sequence[str], met: dict[str, bool], bench: Bench
) -> list[Verdict]:
    bench.tell(f"{loaded.name}: {', '.join(f'--{option}' for option in judged)}")
    request = run.Request(loaded.for_verify(), bench.image, bench.results, bench.seed, quick=True)
    directory = run.begin(request, bench.engine, met)
    run.execute(directory, directory.run(), bench.engine, run.Silent())
    metrics.write(directory)
    return [verdict.judge(directory, option) for option in judged]


def verify(
    options: Sequence[str], bench: Bench, *, disturb_daemon: bool = False, quick: bool = False
) -> TruthTable:
    """Measure what each of the given options really does here; in the registry's order.

    `quick` stops at the verdicts: no bounds, no births, no survival.

    `disturb_daemon` has systemd read its units anew and restarts the daemon, to see which values
    survive that.
    """
    started, begin = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    chosen = [OPTIONS[name] for name in OPTIONS if name in options]
    verdicts = {one.option: one for one in effects(options, bench)}
    rows = {one.name: Row(verdict=verdicts[one.name]) for one in chosen}
    with Supply(_world(bench)) as supply:
        for one in () if quick else chosen:
            bench.tell(f"{one.flag}: bounds, born against changed, survival")
            rows[one.name] = Row(
                verdict=verdicts[one.name],
                bounds=bounds.measure(one, supply),
                born_vs_changed=interactions.born_vs_changed(one, supply),
                survival=survival.measure(one, supply),
            )
    if disturb_daemon:
        stages = survival.across_daemon_restart(chosen, _world(bench))
        rows = {name: _with_stages(row, stages.get(name, ())) for name, row in rows.items()}
    return TruthTable(
        host=description.describe(bench.engine.describe()),
        started=started,
        elapsed_s=round(time.monotonic() - begin, 1),
        rows=tuple(rows.values()),
    )


def with_interactions(table: TruthTable, bench: Bench) -> TruthTable:
    """Add what every option does to every other that was set before it."""
    begin = time.monotonic()
    with Supply(_world(bench)) as supply:
        found = interactions.matrix([OPTIONS[row.verdict.option] for row in table.rows], supply)
    elapsed_s = round(table.elapsed_s + time.monotonic() - begin, 1)
    return table.model_copy(update={"interactions": found, "elapsed_s": elapsed_s})


def _world(bench: Bench) -> World:
    return World(bench.engine, bench.image, run=new_run_name(), progress=bench.detail)


def _with_stages(row: Row, stages: Sequence[Stage]) -> Row:
    if not stages or row.survival is None:
        return row
    survived = row.survival.model_copy(update={"stages": (*row.survival.stages, *stages)})
    return row.model_copy(update={"survival": survived})
