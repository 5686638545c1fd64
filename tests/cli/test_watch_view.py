"""What `cgbench watch` shows: lines that say what changed, a table that fits and heeds its keys."""

from __future__ import annotations

import io
import os
import time

import pytest
from rich.console import Console
from rich.live import Live

from cgbench.cli import watch_view
from cgbench.cli.watch_view import LiveTable
from cgbench.records.audit import Found
from cgbench.records.watch import Look, Mark, Reading

AT = "2026-01-02T03:04:05.678+00:00"


def mark(**more: object) -> Mark:
    usual = {"kind": "changed", "at": AT, "id": "a", "name": "web"}
    return Mark.model_validate(usual | more)


def test_a_change_says_from_what_to_what_why_and_where() -> None:
    said = watch_view.line(mark(
        limit="pids", path="/sys/fs/cgroup/a/pids.max", before="50", after="40",
        finding=Found.DIFFERS, reason="50 tasks is declared, and pids.max says 40, not 50",
    ))  # fmt: skip
    assert said == (
        "2026-01-02 03:04:05 web changed pids 50 → 40; nothing is known of just before; differs: "
        "50 tasks is declared, and pids.max says 40, not 50 (/sys/fs/cgroup/a/pids.max)"
    )
    told = watch_view.line(mark(limit="pids", before="50", after="40", just_before="docker update"))
    assert told.endswith("50 → 40; docker update")


@pytest.mark.parametrize(
    ("file", "before", "after", "words"),
    [
        ("cpu.cfs_quota_us", "-1", "50000", "cpus quota no limit → 50000 µs"),
        ("cpu.cfs_period_us", "100000", "5000", "cpus period 100000 µs → 5000 µs"),
        ("cpu.max", "max 100000", "50000 100000",
         "cpus no limit of 100000 µs → 50000 µs of 100000 µs"),
        ("cpu.max", "50000 100000", None, "cpus 50000 µs of 100000 µs → –"),
    ],
)  # fmt: skip
def test_a_time_is_shown_as_one_and_not_as_a_number_of_cpus(
    file: str, before: str, after: str | None, words: str
) -> None:
    said = watch_view.line(mark(limit="cpus", path=f"/a/{file}", before=before, after=after))
    assert f"web changed {words}; nothing is known" in said


def test_what_is_of_no_container_is_of_the_host() -> None:
    said = watch_view.line(Mark(kind="daemon gone", at=AT, reason="waiting for it"))
    assert said == "2026-01-02 03:04:05 host daemon gone: waiting for it"


def reading(name: str, **more: object) -> Reading:
    return Reading.model_validate({"id": name, "name": name, "state": "running"} | more)


SOME = (
    reading("a", cpus=0.1, memory_bytes=300 * 2**20, throttled_pct=50.0, kills=0, tasks=3),
    reading("b", cpus=0.9, memory_bytes=100 * 2**20, throttled_pct=None, kills=2),
    reading("c", cpus=0.5, memory_bytes=200 * 2**20, throttled_pct=99.0, kills=1),
)


@pytest.fixture
def table() -> LiveTable:
    return LiveTable(Live(console=Console(file=io.StringIO()), auto_refresh=False), 40, None)


def text(table: LiveTable, look: Look, height: int = 40) -> str:
    out = io.StringIO()
    Console(file=out, width=100, height=height).print(table.shown(look))
    return out.getvalue()


def order(table: LiveTable) -> str:
    lines = text(table, Look(at=AT, readings=SOME)).splitlines()[2:]
    return "".join(line[0] for line in lines if line[:1].isalpha())


def test_keys_sort_pause_and_end(table: LiveTable) -> None:
    assert order(table) == "bca"
    for key, expected in (("m", "acb"), ("t", "cab"), ("k", "bca"), ("n", "abc"), ("x", "abc")):
        table.press(key)
        assert order(table) == expected, key
    table.press("q")
    assert table.ended


def test_while_it_is_paused_marks_are_kept_and_readings_wait(table: LiveTable) -> None:
    table.update(Look(at=AT, readings=SOME[:1]))
    table.press(" ")
    table.update(Look(at=AT, readings=SOME[:2], marks=(mark(name="later"),)))
    assert "paused" in text(table, Look(at=AT, readings=SOME))
    assert "later" in text(table, Look(at=AT, readings=SOME))
    assert table._look is not None
    assert table._look.readings == SOME[:1]


def test_what_does_not_fit_is_counted(table: LiveTable) -> None:
    many = tuple(reading(f"c{number}", cpus=0.0) for number in range(100))
    said = text(table, Look(at=AT, readings=many))
    assert "… and 73 more" in said
    assert len(said.splitlines()) <= 40


def test_the_newest_mark_is_shown_to_its_end_and_older_ones_in_a_line_each(
    table: LiveTable,
) -> None:
    far = "/sys/fs/cgroup/" + "a" * 64 + "/pids.max"
    for after in ("40", "30"):
        one = mark(limit="pids", path=far, before="50", after=after, just_before="docker update")
        table.update(Look(at=AT, readings=SOME[:1], marks=(one,)))
    said = text(table, Look(at=AT, readings=SOME[:1]))
    assert "1 container, by CPU" in said
    older, *newest = said[said.index("web changed pids 50 → 40") :].splitlines()
    assert older.rstrip().endswith("…")
    assert len(newest) == 2
    assert newest[-1].rstrip().endswith("/pids.max)")


def test_unknown_figures_are_dashes_and_names_steer_no_terminal(table: LiveTable) -> None:
    odd = Reading(id="a", name="a\x1b[31m", state="running", memory_bytes=0)
    said = text(table, Look(at=AT, readings=(odd,)))
    assert "\x1b" not in said
    assert "a\\x1b[31m" in said
    assert "–" in said


def test_one_that_does_not_run_has_its_state_alone(table: LiveTable) -> None:
    said = text(table, Look(at=AT, readings=(Reading(id="a", name="a", state="exited"),)))
    assert "exited" in said


def test_a_key_is_heeded_while_it_waits() -> None:
    read, write = os.pipe()
    live = Live(console=Console(file=io.StringIO()), auto_refresh=False)
    table = LiveTable(live, 40, read)
    os.write(write, b"q")
    table.wait(time.monotonic() + 60)
    assert table.ended
    os.close(write)
    table.ended = False
    begin = time.monotonic()
    table.wait(begin + 0.05)
    assert time.monotonic() >= begin + 0.05, "a keyboard that is gone is waited for no more"
    os.close(read)
