"""Read the numbers on pages of runs as a browser would, and compute each anew from raw samples.

It shares no code with cgbench: pages are read as HTML, run.json and trials.jsonl as JSON, samples
as Parquet, by the formulas of docs/reference/metrics.md. Name folders of runs, each with its
report.html. Exit status 1 if a number on a page is further off than the page itself says that the
metric is known, or if nothing was compared.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow.parquet as pq

# Pages show four significant digits.
_ROUNDING = 1e-3
# What the manual calls the metric's resolution, in its unit; pages of memory by hosts of 4 KiB.
RESOLUTION = {
    "cpus_used": 0.002, "probe_cpus": 0.004, "throttled_periods_pct": 1.0,
    "throttled_time_pct": 2.0, "stall_time_pct": 1.0, "stalls_per_s": 1.0,
    "stall_p50_ms": 5.0, "stall_p99_ms": 5.0, "stall_max_ms": 5.0,
    "answer_ms": 1.0, "file_ms": 1.0, "cpu_share_pct": 0.5, "io_share_pct": 0.5,
    "memory_max_bytes": 64 * 4096, "memory_swap_max_bytes": 64 * 4096,
    "swap_max_bytes": 64 * 4096, "memory_bytes": 64 * 4096, "tasks_max": 0.0, "oom_kills": 0.0,
    "work_per_s": 0.0, "work_per_cpu_s": 0.0, "io_bytes_per_s": 0.0, "docker_stats_cpus": 0.01,
}  # fmt: skip
_SIZES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
Key = tuple[str, str, str, str, str]


class Page(HTMLParser):
    """The rows of a report's tables: keys of points, and all their figures by metric."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[Key] = []
        self.medians: list[float | None] = []
        self.metrics: list[str] = []
        self.figures: list[list[str]] = []
        self._table = ""
        self._cell: list[str] | None = None
        self._row: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "table":
            self._table = found.get("class", "")
        if tag == "tr":
            self._row = []
            if self._table == "values" and "data-requested" in found:
                self.keys.append((
                    found["data-role"], found["data-option"], found["data-via"],
                    found["data-requested"], found.get("data-note", ""),
                ))  # fmt: skip
        if tag == "span" and self._table == "all" and "title" in found:
            self.metrics.append(found["title"])
        if tag == "td" and self._table == "all":
            self._cell = []

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "td" and self._cell is not None:
            self._row.append("".join(self._cell).strip())
            self._cell = None
        if tag == "tr" and self._table == "all" and self._row:
            self.figures.append(self._row)


def number(text: str) -> float | None:
    """Return what a cell says, None for a dash."""
    found = re.fullmatch(r"([−-]?[0-9.]+)(?: ([KMGT]?i?B))?", text)
    if found is None:
        return None
    return float(found[1].replace("−", "-")) * (_SIZES[found[2]] if found[2] else 1)


Table = dict[str, Any]
"""Columns as arrays: numbers with NaN for what is absent, else as they are."""


def table(path: Path) -> Table:
    found = {}
    read = pq.ParquetFile(path).read()
    for name in read.column_names:
        values = read.column(name).to_pylist()
        if name in ("role",) or any(isinstance(one, str) for one in values):
            found[name] = np.array(values, dtype=object)
        elif name.endswith("_ns") or name in ("worker", "units"):
            found[name] = np.array(values, dtype=np.int64)
        else:
            found[name] = np.array(values, dtype=float)
    return found


def of_role(whole: Table, role: str) -> Table:
    mine = whole["role"] == role
    return {name: values[mine] for name, values in whole.items()}


@dataclass(frozen=True)
class Counter:
    """What a counter said at each time, in its SI unit; NaN where it was not read."""

    t_ns: Any
    values: Any

    def within(self, begin: int, end: int) -> Any:
        """Return what was read from `begin` to `end`, both included."""
        part = self.values[(self.t_ns >= begin) & (self.t_ns <= end)]
        return part[~np.isnan(part)]

    def at(self, t_ns: Any) -> Any:
        return self.values[np.searchsorted(self.t_ns, t_ns)]

    def after(self, t_ns: int) -> int:
        """Return the time of the reading after the one at `t_ns`."""
        return int(self.t_ns[np.searchsorted(self.t_ns, t_ns) + 1])

    def steps_after(self, t_ns: int) -> bool:
        """Say whether the next reading says more than the one at `t_ns`."""
        at = int(np.searchsorted(self.t_ns, t_ns))
        return at + 1 < len(self.values) and bool(self.values[at + 1] > self.values[at])


@dataclass
class Trial:
    """One trial's record and its tables."""

    record: dict[str, Any]
    samples: Table
    stalls: Table
    probe: Table
    stats: Table
    cache: dict[str, Table] = field(default_factory=dict, init=False)

    def of(self, role: str) -> Table:
        if role not in self.cache:
            self.cache[role] = of_role(self.samples, role)
        return self.cache[role]

    def container(self, role: str) -> dict[str, Any]:
        (one,) = (each for each in self.record["containers"] if each["role"] == role)
        found: dict[str, Any] = one
        return found

    def counter(self, role: str, name: str) -> Counter | None:
        """Return a counter of a container in its SI unit, by time; None where it is not kept."""
        source = self.container(role)["sources"].get(name)
        rows = self.of(role)
        if source is None:
            return None
        pattern = re.escape(source["column"]).replace(r"\*", ".*")
        columns = [rows[one] for one in rows if re.fullmatch(pattern, one)]
        if not columns:
            return None
        read = ~np.isnan(np.array(columns, dtype=float)).all(axis=0)
        whole = np.nansum(np.array(columns, dtype=float), axis=0) * source["scale"]
        return Counter(rows["t_ns"], np.where(read, whole, np.nan))


def trials(run: Path) -> Iterator[Trial]:
    last = {}
    for line in (run / "trials.jsonl").read_text().splitlines():
        record = json.loads(line)
        last[record["number"]] = record
    for number_, record in sorted(last.items()):
        if record["status"] != "ok":
            continue
        stem = run / "samples" / f"trial-{number_:04}"
        tables = [stem.with_name(f"{stem.name}{end}.parquet")
                  for end in ("", ".stalls", ".probe", ".docker-stats")]  # fmt: skip
        yield Trial(record, *(table(one) for one in tables))


def in_force(change: dict[str, Any]) -> int:
    """Return when a change was answered and in force: a file may take hold after the answer."""
    late = [
        file["t_changed_ns"] or 0
        for file in change["files"]
        if file["after"] != file["expected"] and file["t_changed_ns"]
        and file["history"] is not None
        and file["expected"] in [one["text"] for one in file["history"]["readings"]]
    ]  # fmt: skip
    return int(max([change["t_answer_ns"], *late]))


def period_ns(settings: dict[str, Any]) -> int:
    return 100_000_000 if "cpus" in settings else 1000 * int(settings.get("cpu-period") or 100_000)


def quota(settings: dict[str, Any]) -> bool:
    return "cpus" in settings or int(settings.get("cpu-quota") or -1) > 0


def window(trial: Trial, phase: dict[str, Any], role: str, settings: dict[str, Any]) -> Any:
    """Return the steady part of a phase as its first and last time in ns; None if there is none."""
    begin, end = in_force(phase["change"]), phase["t_end_ns"]
    begin += min(max(2 * period_ns(settings), 200_000_000), (end - begin) // 2)
    t_ns = trial.of(role)["t_ns"]
    inside = t_ns[(t_ns >= begin) & (t_ns < end)]
    if len(inside) < 2:
        return None
    periods, throttled = trial.counter(role, "periods"), trial.counter(role, "throttled_periods")
    if periods is not None and throttled is not None:
        steps = periods.at(inside)
        edges = inside[:-1][np.diff(steps) > 0]
        if len(edges) >= 2 and throttled.at(throttled.after(int(edges[-1]))) > throttled.at(
            throttled.after(int(edges[0]))
        ):
            workers = trial.container(role)["workers"]
            return kept(t_ns, [int(one) for one in edges], workers, settings)
    if quota(settings) and inside[-1] - inside[0] < 2 * period_ns(settings):
        return None
    return int(inside[0]), int(inside[-1])


def kept(t_ns: Any, edges: list[int], workers: int, settings: dict[str, Any]) -> tuple[int, int]:
    """Return the ends of a window that lie beside no standstill of the host, where that is so."""

    def gap(begin: int, end: int) -> int:
        steps = np.diff(t_ns[(t_ns >= begin) & (t_ns <= end)])
        return int(steps.max()) if len(steps) else 0

    usual = np.median(np.diff(t_ns[(t_ns >= edges[0]) & (t_ns <= edges[-1])]))
    most, last = max(4_000_000, 5 * usual), len(edges) - 1
    while last and gap(edges[last - 1], edges[last]) > most:
        last -= 1
    before = [edges[0] - period_ns(settings), *edges]
    share = (
        float(settings["cpus"]) * 1e8 if "cpus" in settings
        else 1000 * float(settings.get("cpu-quota") or 0)
    )  # fmt: skip
    first, owed, at = 0, 0.0, 0
    while share > 0 and at <= min(first, last):
        stood = gap(before[at], before[at + 1])
        if stood > most:
            owed += stood * max(1, workers)
            first = max(first, at + int(np.ceil(owed / share)))
        at += 1
    if last - first < max(1, (len(edges) - 1) // 2):
        return edges[0], edges[-1]
    return edges[first], edges[last]


def grown(values: Counter | None, begin: int, end: int) -> float | None:
    if values is None:
        return None
    part = values.within(begin, end)
    return float(part[-1] - part[0]) if len(part) > 1 else None


def most(values: Counter | None, begin: int, end: int) -> float | None:
    part = None if values is None else values.within(begin, end - 1)
    return float(part.max()) if part is not None and len(part) else None


def figures(trial: Trial, phase: dict[str, Any], role: str, settings: dict[str, Any]) -> Any:
    """Yield metric and value of a container in one phase."""
    change = phase["change"]
    if role == phase["role"] and change["via"] != "run":
        yield "answer_ms", (change["t_answer_ns"] - change["t_request_ns"]) / 1e6
        seen = [file["t_changed_ns"] for file in change["files"] if file["t_changed_ns"]]
        if seen:
            yield "file_ms", max(0.0, (max(seen) - change["t_request_ns"]) / 1e6)
    begin, end = in_force(change), phase["t_end_ns"]
    for name, counter in (("memory_max_bytes", "memory_bytes"), ("tasks_max", "tasks"),
                          ("swap_max_bytes", "swap_bytes"),
                          ("memory_swap_max_bytes", "memory_swap_bytes")):  # fmt: skip
        yield name, most(trial.counter(role, counter), begin, end)
    found = window(trial, phase, role, settings)
    if found is None:
        return
    begin, end = found
    seconds = (end - begin) / 1e9
    used = grown(trial.counter(role, "usage_ns"), begin, end)
    yield "cpus_used", None if used is None else used / 1e9 / seconds
    # A period is counted by the sample after its last one.
    periods = trial.counter(role, "periods")
    late = (begin, end)
    if periods is not None and periods.steps_after(begin) and periods.steps_after(end):
        late = (periods.after(begin), periods.after(end))
    for name, part, whole, ends in (
        ("throttled_periods_pct", "throttled_periods", grown(periods, *late), late),
        ("throttled_time_pct", "throttled_ns", float(end - begin), (begin, end)),
    ):
        went = grown(trial.counter(role, part), *ends)
        yield name, 100 * went / whole if went is not None and whole else None
    moved = grown(trial.counter(role, "io_bytes"), begin, end)
    yield "io_bytes_per_s", None if moved is None else moved / seconds
    held = trial.counter(role, "memory_bytes")
    if held is not None and len(part_ := held.within(begin, end)):
        yield "memory_bytes", float(np.median(part_))
    stalls = of_role(trial.stalls, role)
    workers = len(np.unique(of_role(trial.probe, role)["worker"]))
    if workers and trial.container(role)["probe"] == "spin":
        inside = (stalls["begin_ns"] >= begin) & (stalls["begin_ns"] < end)
        lengths = stalls["length_ns"][inside]
        yield "stalls_per_s", len(lengths) / seconds
        if len(lengths):
            p50, p99 = np.percentile(lengths, [50, 99]) / 1e6
            yield "stall_p50_ms", float(p50)
            yield "stall_p99_ms", float(p99)
            yield "stall_max_ms", float(lengths.max()) / 1e6
        first = stalls["begin_ns"].clip(begin, end)
        last = (stalls["begin_ns"] + stalls["length_ns"]).clip(begin, end)
        stood = float((last - first).sum())
        yield "stall_time_pct", 100 * stood / (workers * (end - begin))
        yield "probe_cpus", workers - stood / (end - begin)
    stats = of_role(trial.stats, role)
    said = stats["cpus"][(stats["t_ns"] >= begin + 1_000_000_000) & (stats["t_ns"] < end)]
    said = said[~np.isnan(said)]
    yield "docker_stats_cpus", float(np.median(said)) if len(said) else None


def recomputed(run: Path) -> dict[tuple[Key, str], float]:
    """Return every figure of a run anew: the median over trials of each trial's median.

    A value that several containers had is of each in its own phases; of one that only others had,
    in those of the first of them.
    """
    experiment = json.loads((run / "run.json").read_text())["experiment"]
    options = {one["role"]: dict(one["options"]) for one in experiment["containers"]}
    found: dict[tuple[Key, str, str], dict[int, list[float]]]
    found = defaultdict(lambda: defaultdict(list))
    owners: dict[Key, str] = {}
    for trial in trials(run):
        settings = {role: dict(one) for role, one in options.items()}
        for phase in trial.record["phases"]:
            settings[phase["role"]] = phase["settings"]
            change = phase["change"]
            if change["error"] is not None or phase["prepares"]:
                continue
            for role, own in settings.items():
                key = (role, phase["option"], change["via"], change["requested"],
                       change["note"] or "")  # fmt: skip
                if role == phase["role"]:
                    owners[key] = role
                owners.setdefault(key, phase["role"])
                for metric, value in figures(trial, phase, role, own):
                    if value is not None:
                        found[key, metric, phase["role"]][trial.record["number"]].append(value)
    return {
        (key, metric): median(median(values) for values in by_trial.values())
        for (key, metric, owner), by_trial in found.items()
        if owner == owners[key]
    }


def compared(run: Path) -> Iterator[tuple[str, float, float, bool]]:
    """Yield each number of a page that can be computed: where it stands, both values, whether
    they agree.
    """
    page = Page()
    page.feed((run / "report.html").read_text())
    anew = recomputed(run)
    for key, row in zip(page.keys, page.figures, strict=True):
        for metric, text in zip(page.metrics, row, strict=True):
            shown, own = number(text), anew.get((key, metric))
            if shown is None or own is None or metric not in RESOLUTION:
                continue
            off = abs(shown - own)
            yield (
                f"{run.parent.name}: {metric} of {key[0]} at {key[3]} {key[4]}".strip(),
                shown, own, off <= RESOLUTION[metric] + _ROUNDING * abs(own),
            )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.bench.recomputed", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    look: Callable[[Path], Iterator[tuple[str, float, float, bool]]] = compared
    total = wrong = 0
    for run in parser.parse_args().runs:
        here = list(look(run))
        bad = [one for one in here if not one[3]]
        total, wrong = total + len(here), wrong + len(bad)
        print(f"{run}: {len(here)} numbers, {len(bad)} off", flush=True)
        for words, shown, own, _good in bad:
            print(f"    {words}: {shown:.6g} on the page, {own:.6g} from the samples")
    print(f"{total} numbers, {wrong} off")
    return int(wrong > 0 or total == 0)


if __name__ == "__main__":
    sys.exit(main())
