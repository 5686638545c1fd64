"""Let each fault strike a real measurement and look at how it ends: `make faults N=5 SEED=1`.

Each time a short experiment is measured with its results in a temporary folder, and one fault
strikes at a moment that is drawn. Then the reason, the exit status and the time are looked at, the
finished trials, whether the results can be read, and what is left. The exit status is 1 if any bar
was missed. It needs root, the image, gcc and a Docker that is otherwise idle: its daemon is stopped
and restarted. `--only` and `--without` choose faults by name.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench import places, world
from tests.bench.fault_list import FAULTS, Fault
from tests.bench.figure import Figure, at_most
from tests.bench.injections import Strike
from tests.bench.left import differences, unreadable
from tests.bench.measurement import Measurement, TooLate, notice
from tests.made import short_experiment
from tests.made.command import ended
from tests.made.heeded_signals import heed

TRIALS = 3
# The whole command takes some 8 s, a trial's holds 1.6 s.
_SOONEST_S, _LATEST_S = 0.2, 7.0
_INTO_HOLDS_S = 0.6
_CLEAN_S = 120.0
_LOAD_S = 10.0


@dataclass(frozen=True)
class Outcome:
    """What one injection came to: `bad` are sentences on what is wrong, none where all is well."""

    fault: Fault
    moment: str
    seconds: float
    status: int
    reason_right: bool
    in_time: bool
    noticed_s: float | None
    load_s: float | None
    bad: tuple[str, ...]

    def line(self, seed: str) -> str:
        verdict = "bad" if self.bad else "ok"
        return (
            f"{seed:>6}  {self.fault.name:<20} {self.moment:<18} {self.seconds:6.1f} s  "
            f"status {self.status:>3}  {verdict}"
        )


def strike(fault: Fault, folder: Path, drawn: random.Random, trials: int = TRIALS) -> Outcome:
    """Measure, let the fault strike, and say how it ended."""
    experiment = short_experiment.write(folder, trials=trials, hold="700ms")
    with ExitStack() as outer:
        place = outer.enter_context(fault.place(folder))
        before = world.look()
        measurement = _start(fault, place, experiment, folder)
        outer.callback(_close, measurement)
        outer.enter_context(ended(measurement.process))
        with ExitStack() as stack:
            moment, begin = "too late", time.monotonic()
            kept: bytes = b""
            bad: list[str] = []
            said = stack.enter_context(notice(measurement, fault.reason))
            try:
                moment = _await_moment(fault, measurement, drawn, trials)
                kept, begin = _lines(measurement), time.monotonic()
                fault.inject(Strike(measurement, place, drawn, stack))
            except TooLate as error:
                bad.append(str(error))
            status = _ended(measurement, fault.limit_s - (time.monotonic() - begin))
            seconds = time.monotonic() - begin
        in_time = status is not None
        noticed_s = None if said.t_s is None else said.t_s - begin
        if status is None:
            bad.append(f"did not end within {fault.limit_s:g} s")
            measurement.process.kill()
            measurement.process.wait()
        status = measurement.process.returncode
        load_s = None
        if _unclean(fault, measurement):
            load_s = _load_ends()
            bad += [] if load_s <= _LOAD_S else [f"the load ran {load_s:.1f} s longer"]
            bad += _cleaned()
        _forget_traceback(fault, measurement)
        bad += differences(before)
        right = _reason_is_right(fault, measurement)
        bad += [] if right else [f"the reason is: {_reasons(measurement)}"]
        bad += [*_wrong_end(fault, measurement, trials), *_lost(measurement, kept)]
    return Outcome(fault, moment, seconds, status, right, in_time, noticed_s, load_s, tuple(bad))


def _start(fault: Fault, place: places.Place, experiment: Path, folder: Path) -> Measurement:
    said = folder / "said"
    with said.open("w") as file:
        process = subprocess.Popen(
            [
                *place.prefix, sys.executable, "-m", "cgbench", "run", str(experiment),
                "--no-report", "--results", str(place.results),
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if fault.one_pipe else file,
            start_new_session=True, env={**os.environ, **place.environment, world.MARK: "1"},
        )  # fmt: skip
    return Measurement(process, place.results, said)


def _await_moment(fault: Fault, measurement: Measurement, drawn: random.Random, trials: int) -> str:
    """Wait until the fault is to strike; return when that is, in words."""
    if fault.when == "any":
        after_s = drawn.uniform(_SOONEST_S, _LATEST_S)
        limit = time.monotonic() + after_s
        measurement.awaited(lambda: time.monotonic() >= limit or None)
        return f"after {after_s:.1f} s"
    trial = drawn.randint(1, trials - fault.before_last)
    if fault.when == "container":
        measurement.awaited(
            lambda: (len(measurement.trials()) >= trial - 1 and measurement.container()) or None
        )
    else:
        measurement.awaited(measurement.sampled(trial))
    if fault.when == "ending":
        measurement.awaited(lambda: measurement.sampler() is None or None)
        return f"end of trial {trial}"
    after_s = drawn.uniform(0, _INTO_HOLDS_S)
    time.sleep(after_s)
    return f"trial {trial} + {after_s:.1f} s"


def _ended(measurement: Measurement, limit_s: float) -> int | None:
    """Return the exit status, None where the command does not end in time."""
    try:
        return measurement.process.wait(max(0.1, limit_s))
    except subprocess.TimeoutExpired:
        return None


def _close(measurement: Measurement) -> None:
    if measurement.process.stdout is not None:
        measurement.process.stdout.close()


def _unclean(fault: Fault, measurement: Measurement) -> bool:
    """Say whether what is left needs `cgbench clean`, as it may after this end."""
    return any(
        one in measurement.words if isinstance(one, str) else one == measurement.process.returncode
        for one in fault.unclean
    )


def _forget_traceback(fault: Fault, measurement: Measurement) -> None:
    """Remove the traceback of an error that nobody can expect."""
    named = re.search(r"unexpected error: (\w+).*with (/\S+)", measurement.words)
    if named is not None and named[1] == fault.unexpected:
        Path(named[2]).unlink()


def _load_ends() -> float:
    """Return how long the load goes on after cgbench has died."""
    begin = time.monotonic()
    while world.running() and time.monotonic() - begin <= _LOAD_S:
        time.sleep(0.1)
    return time.monotonic() - begin


def _cleaned() -> list[str]:
    done = _cgbench("clean")
    return [] if done.returncode == 0 else [f"clean: {done.stderr.strip()}"]


def _reasons(measurement: Measurement) -> str:
    failed = [trial.reason or "" for trial in measurement.trials() if trial.status == "failed"]
    return " / ".join([*failed, *measurement.words.splitlines()[-3:]])


def _reason_is_right(fault: Fault, measurement: Measurement) -> bool:
    """Say whether the fault's own reason is stored or printed, and no other one is stored."""
    failed = [trial.reason or "" for trial in measurement.trials() if trial.status == "failed"]
    said = measurement.words
    if fault.statuses[0] == measurement.process.returncode == 0 and not failed:
        # It had what it needed, or nothing was to go wrong.
        return True
    if not fault.reason:
        return not (fault.spares and failed)
    if fault.goes_on:
        return bool(failed) and all(re.search(fault.reason, one) for one in failed)
    return re.search(fault.reason, said) is not None


def _wrong_end(fault: Fault, measurement: Measurement, trials: int) -> Iterator[str]:
    status, said = measurement.process.returncode, measurement.words
    if status not in fault.statuses:
        yield f"exit status {status}: {said.strip()[-300:]}"
    unexpected = re.search(r"unexpected error: (\w+)", said)
    if "Traceback" in said or (unexpected and unexpected[1] != fault.unexpected):
        yield f"an error that no code expected: {said.strip()[-300:]}"
    if fault.goes_on and len(measurement.trials()) != trials:
        yield f"{len(measurement.trials())} of {trials} trials were tried"
    if status == 1 and not any(trial.status == "failed" for trial in measurement.trials()):
        yield "exit status 1, and no trial failed"


def _lost(measurement: Measurement, kept: bytes) -> Iterator[str]:
    """Yield what became of finished trials, and what cannot be read any more."""
    if not _lines(measurement).startswith(kept):
        yield "a finished trial was lost"
    run = measurement.run
    if run is None:
        return
    yield from unreadable(run)
    if not (run.path / "run.json").exists():
        return
    place, page = str(measurement.results), str(measurement.said.with_name("page.html"))
    any_ok = any(trial.status == "ok" for trial in measurement.trials())
    readings = (
        ("list", "--results", place),
        ("show", str(run.path)),
        ("report", str(run.path), "-o", page),
    )
    # At once, since each takes its time to begin.
    with ThreadPoolExecutor() as pool:
        for arguments, done in zip(
            readings, pool.map(lambda words: _cgbench(*words), readings), strict=True
        ):
            allowed = {0} if any_ok or arguments[0] == "list" else {0, 2}
            if done.returncode not in allowed or "unexpected" in done.stderr:
                yield f"cgbench {arguments[0]}: {done.stderr.strip()[-200:]}"


def _cgbench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cgbench", *arguments],
        capture_output=True, text=True, check=False, timeout=_CLEAN_S,
    )  # fmt: skip


def _lines(measurement: Measurement) -> bytes:
    """Return the whole lines of trials.jsonl: the trials that are finished."""
    run = measurement.run
    path = None if run is None else run.path / "trials.jsonl"
    content = path.read_bytes() if path is not None and path.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def figures(fault: Fault, outcomes: Sequence[Outcome]) -> Iterator[Figure]:
    """Yield what a fault came to over all its injections."""
    asked = len(outcomes)
    for words, count in (
        ("reason right", sum(one.reason_right for one in outcomes)),
        ("in all right", sum(not one.bad for one in outcomes)),
    ):
        yield Figure(f"{fault.name}: {words}", f"{asked}", f"{count} of {asked}", count == asked)
    yield at_most(
        f"{fault.name}: longest end", fault.limit_s, max(one.seconds for one in outcomes), " s", 1
    )
    loads = [one.load_s for one in outcomes if one.load_s is not None]
    if loads:
        yield at_most(f"{fault.name}: load gone", _LOAD_S, max(loads), " s", 1)
    noticed = [one.noticed_s for one in outcomes if one.noticed_s is not None]
    if fault.noticed_s is not None and noticed:
        yield at_most(f"{fault.name}: message", fault.noticed_s, max(noticed), " s", 1)


def chosen(only: Sequence[str], without: Sequence[str]) -> list[Fault]:
    """Return the faults asked for."""
    return [one for one in FAULTS if (not only or one.name in only) and one.name not in without]


def _injection(fault: Fault, seed: str) -> Outcome:
    """Let a fault strike once, and print what it came to."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        outcome = strike(fault, Path(folder), random.Random(f"{fault.name} {seed}"))
    print(outcome.line(seed), flush=True)
    for one in outcome.bad:
        print(f"          {one}", flush=True)
    return outcome


def main() -> int:
    """Let the faults strike, print each injection as it ends, and the figures at last.

    Ctrl-C or SIGTERM ends it early: the figures are of what was done by then.
    """
    names = [one.name for one in FAULTS]
    parser = argparse.ArgumentParser(prog="tests.bench.faults", description=__doc__)
    parser.add_argument("--number", type=int, default=5, help="How often each fault strikes.")
    parser.add_argument("--seed", type=int, default=1, help="Seed of everything drawn.")
    parser.add_argument("--only", nargs="+", choices=names, default=[], metavar="FAULT")
    parser.add_argument("--without", nargs="+", choices=names, default=[], metavar="FAULT")
    asked = parser.parse_args()
    table: list[Figure] = []
    faults, injections = chosen(asked.only, asked.without), 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    heed()
    with suppress(KeyboardInterrupt):
        for fault in faults:
            outcomes: list[Outcome] = []
            try:
                for number in range(1, asked.number + 1):
                    outcomes.append(_injection(fault, f"{asked.seed}.{number}"))
                    injections += 1
            finally:
                table += figures(fault, outcomes) if outcomes else ()
    print(f"\n{'figure':<46} {'bar':>9} {'reached':>12}  verdict")
    for figure in table:
        print(figure.line())
    missed = sum(figure.met is False for figure in table)
    planned = len(faults) * asked.number
    print(f"{injections} of {planned} injections")
    print(f"{len(table) - missed} of {len(table)} figures within their bars")
    return int(missed > 0 or injections < planned)


if __name__ == "__main__":
    sys.exit(main())
