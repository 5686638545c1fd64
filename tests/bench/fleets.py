"""Measure a fleet of many simulated hosts, three of them altered, and time its report.

All workers are in one process, and replay a stored truth table as if it took a while. Exit status 1
if a bar was missed. It needs neither root nor Docker.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

from cgbench.commands import fleet, fleet_report
from cgbench.records import atlas
from cgbench.spec.host_list import FleetHost
from tests.bench.figure import Figure, at_most, no_less
from tests.made.fleet import ALTERED, altered, names, served

NUMBER, LASTS_S = 500, 60.0
_MOST_BYTES = 6 * 10**6


def figures(number: int, lasts_s: float) -> list[Figure]:
    """Run the fleet, judge it and write its page."""
    table = atlas.read(atlas.path_of("debian12-v1", atlas.shipped())).table.to_json()
    hosts = tuple(
        FleetHost(name=name, address=None, port=None, user=None, key=None, known_hosts=None,
                  python=None, tags=("web",))
        for name in names(number)
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        with served(table, number, lasts_s) as address:
            wanted = fleet.wanted(hosts, "verify", ("--quick",), address)
            made = fleet.begun(wanted, Path(folder))
            begin = time.monotonic()
            record = fleet.measure(made, wanted, lambda _host, _line: None)
            wall = time.monotonic() - begin
        begin = time.monotonic()
        found = fleet_report.judged(made)
        page = fleet_report.write_page(found, Path(folder) / "report.html")
        reported = time.monotonic() - begin
        named = found.standing.outliers
        size = page.stat().st_size
    right = set(named) & set(altered(number))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return [
        no_less("hosts measured", number, sum(one.measured for one in record.members), digits=0),
        at_most("wall over the longest task", 1.2, wall / lasts_s, digits=3),
        no_less("altered hosts named", ALTERED, len(right), digits=0),
        at_most("others named", 0, len(set(named) - right), digits=0),
        at_most("report, wall", 20, reported, " s", digits=1),
        at_most("report, size", _MOST_BYTES / 1e6, size / 1e6, " MB", digits=2),
        at_most("memory of the fleet and its report", 1.5, peak / 2**30, " GiB", digits=2),
    ]


def main() -> int:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(prog="tests.bench.fleets", description=__doc__)
    parser.add_argument("--number", type=int, default=NUMBER, help=f"hosts ({NUMBER})")
    parser.add_argument("--lasts", type=float, default=LASTS_S, help=f"s a host ({LASTS_S:g})")
    given = parser.parse_args()
    found = figures(given.number, given.lasts)
    for figure in found:
        print(figure.line())
    return int(any(one.met is False for one in found))


if __name__ == "__main__":
    sys.exit(main())
