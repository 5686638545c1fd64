"""The truth table of this host: every option measured, with its verdict and the evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cgbench import experiment, host, metrics, runner, verdict
from cgbench.engine import Engine
from cgbench.experiment import Experiment, Precondition
from cgbench.live import Silent
from cgbench.verdict import Outcome, Verdict

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """What all examinations share: the daemon, the image, where runs are kept, and the seed."""

    engine: Engine
    image: str
    results: Path
    seed: int
    tell: Tell


def experiments(options: Sequence[str]) -> list[tuple[Experiment, tuple[str, ...]]]:
    """Return the built-in experiments that judge the given options, each with those it judges."""
    found = []
    for name in experiment.builtin_names():
        loaded = experiment.load(name)
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
        met = host.preconditions({*loaded.requires, *loaded.verify.needs})
        lacking = [name for name in loaded.requires if not met[str(name)]]
        if lacking:
            for option in judged:
                yield verdict.unsupported(loaded, option, host.reason(Precondition(lacking[0])))
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
    request = runner.Request(
        loaded.for_verify(), bench.image, bench.results, bench.seed, quick=True
    )
    directory = runner.begin(request, bench.engine, met)
    runner.execute(directory, directory.run(), bench.engine, Silent())
    metrics.write(directory)
    return [verdict.judge(directory, option) for option in judged]
