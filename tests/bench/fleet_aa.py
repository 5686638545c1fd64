"""A fleet of this one host against runs by themselves: does the worker beside it show?

Both measure the same experiment by turns; each metric that a gate would judge is compared as a gate
does, and each that something is expected of within its own band. Exit status 1 if one is apart. It
needs root, Docker, the image, and nothing else beside.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from cgbench.judging import comparison, sides
from cgbench.judging.run import Run, load
from cgbench.records import results as stored
from cgbench.records.baseline import Baseline
from cgbench.records.comparison import Judgement
from cgbench.records.fleet import find
from tests.bench.figure import Figure, at_most, no_less
from tests.made import ssh
from tests.made.ssh import SshHost

NUMBER = 10
EXPERIMENT = "cpu-quota-sweep"
_LONGEST_S = 600.0


def alone(folder: Path) -> Run:
    """Measure by itself."""
    _run("run", EXPERIMENT, "--quick", "--no-report", "--quiet", "--results", str(folder))
    (directory,) = stored.runs(folder)
    return load(directory)


def by_fleet(host: SshHost, folder: Path) -> tuple[Run, float]:
    """Measure as a fleet of one; also return the share of a CPU that the worker used."""
    hosts = folder / "hosts.toml"
    folder.mkdir()
    hosts.write_text(
        f'[[hosts]]\nname = "here"\naddress = "127.0.0.1"\nport = {host.port}\nuser = "root"\n'
        f'key = "{host.folder}/key"\nknown_hosts = "{host.folder}/known_hosts"\n'
        f'python = "{sys.executable}"\n'
    )
    _run("fleet", "--results", str(folder), "--no-report", "--quiet", str(hosts),
         "run", EXPERIMENT, "--quick")  # fmt: skip
    found = find("fleet", folder)
    (member,) = found.read().members
    (directory,) = found.runs("here")
    assert member.worker_cpu_s is not None
    assert member.seconds is not None
    return load(directory), member.worker_cpu_s / member.seconds


def _run(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cgbench", *arguments], capture_output=True, text=True, check=False,
        timeout=_LONGEST_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def merged(runs: Sequence[Run], name: str) -> Baseline:
    """Return one side of several runs: each run is one repetition, by its median."""
    each = [sides.of_run(run) for run in runs]
    first = each[0]
    by_key = [{one.key: one for one in side.series} for side in each]
    series = tuple(
        one.model_copy(update={"values": tuple(
            median([value for value in there[one.key].values if value is not None])
            for there in by_key
        )})
        for one in first.series
        if all(
            one.key in there and any(value is not None for value in there[one.key].values)
            for there in by_key
        )
    )  # fmt: skip
    return first.model_copy(update={
        "name": name, "repetitions": tuple(range(1, len(runs) + 1)), "noise": (), "series": series,
    })  # fmt: skip


def beyond_band(lone: Sequence[Run], fleet: Sequence[Run]) -> tuple[list[str], int]:
    """Return the metrics whose medians are farther apart than their band, of how many."""
    apart, number = [], 0
    mine = [{(one.key, one.metric): one.estimate for one in run.summary} for run in lone]
    theirs = [{(one.key, one.metric): one.estimate for one in run.summary} for run in fleet]
    for (key, metric), estimate in mine[0].items():
        if estimate.tolerance is None or not all((key, metric) in one for one in (*mine, *theirs)):
            continue
        number += 1
        here, there = (median(one[key, metric].median for one in side) for side in (mine, theirs))
        if abs(here - there) > estimate.allowed:
            apart.append(f"{metric} of {key.role} at {key.label}: {here:.5g}, {there:.5g}")
    return apart, number


def figures(number: int) -> list[Figure]:
    """Measure by turns, and compare."""
    lone, fleet, shares = [], [], []
    with tempfile.TemporaryDirectory() as made, ssh.served(_folder(made, "ssh")) as host:
        for at in range(number):
            lone.append(alone(_folder(made, f"lone-{at}")))
            run, share = by_fleet(host, Path(made) / f"fleet-{at}")
            fleet.append(run)
            shares.append(share)
            for pair in (lone[-1], fleet[-1]):
                assert pair.every_row
            print(f"{at + 1} of {number}: worker {100 * share:.2f} % of a CPU", flush=True)
        apart, judged = beyond_band(lone, fleet)
        found = comparison.compare(merged(lone, "lone"), merged(fleet, "fleet"))
    changed = [
        one for one in found.findings
        if one.judgement in (Judgement.REGRESSED, Judgement.IMPROVED)
    ]  # fmt: skip
    for line in apart:
        print(f"beyond its band: {line}")
    for one in changed:
        print(f"as a gate judges: {one.key}: {one.judgement} {one.reason}")
    return [
        no_less("metrics with a band, compared", 1, judged),
        at_most("of them apart beyond it", 0, len(apart), digits=0),
        no_less("metrics a gate judges, compared", 1, len(found.findings)),
        at_most("of them regressed or improved", 0, len(changed), digits=0),
        at_most("the worker's CPU, median", 1.0, 100 * median(shares), " %"),
    ]


def _folder(made: str, name: str) -> Path:
    path = Path(made) / name
    path.mkdir()
    return path


def main() -> int:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(prog="tests.bench.fleet_aa", description=__doc__)
    parser.add_argument("--number", type=int, default=NUMBER, help=f"of each side ({NUMBER})")
    found = figures(parser.parse_args().number)
    for figure in found:
        print(figure.line())
    return int(any(one.met is False for one in found))


if __name__ == "__main__":
    sys.exit(main())
