"""Since when do the files say what was asked? Pure readings."""

from __future__ import annotations

import pytest

from cgbench.measuring.idle.in_force import judged, same
from cgbench.records.idle_findings import When
from cgbench.spec.option import Interface, Option, Value
from cgbench.spec.options import option


def files(one: Option, *texts: str, version: int = 1) -> dict[Interface, str]:
    return dict(zip(one.interfaces(version), texts, strict=bool(texts))) if texts else {}


def result(
    name: str, value: Value, before: tuple[str, ...], now: tuple[str, ...], later: tuple[str, ...]
) -> tuple[When | None, bool]:
    one = option(name)
    was = {file.file: text for file, text in files(one, *before).items()}
    readings = [(When.NOW, files(one, *now)), (When.START, files(one, *later))]
    return judged(one, {**one.beside, one.name: value}, was, readings)


@pytest.mark.parametrize(
    ("before", "now", "later", "found"),
    [
        ("-1", "30000", "30000", (When.NOW, False)),
        ("-1", "-1", "30000", (When.START, False)),
        ("-1", "-1", "-1", (When.NEVER, False)),
        ("-1", "15000", "15000", (When.NEVER, False)),
        ("-1", "30000", "-1", (When.NOW, True)),
        ("30000", "30000", "30000", (None, False)),
    ],
)
def test_the_first_reading_that_says_so_decides_and_the_last_one_must_say_so_too(
    before: str, now: str, later: str, found: tuple[When | None, bool]
) -> None:
    assert result("cpu-quota", 30_000, (before,), (now,), (later,)) == found


def test_readings_without_files_say_nothing() -> None:
    assert result("cpu-quota", 30_000, ("-1",), (), ("30000",)) == (When.START, False)
    assert result("cpu-quota", 30_000, ("-1",), (), ()) == (None, False)
    assert result("restart", "no", (), (), ()) == (None, False)


def test_nothing_is_said_where_nobody_knows_what_the_file_said_before() -> None:
    assert result("cpu-quota", 30_000, (), ("30000",), ("30000",)) == (None, False)


def test_every_file_of_an_option_must_say_what_it_should() -> None:
    before, half = ("-1", "50000"), ("50000", "50000")
    assert result("cpus", "0.5", before, half, half) == (When.NEVER, False)
    assert result("cpus", "0.5", before, half, ("50000", "100000")) == (When.START, False)


def test_lists_are_the_same_that_name_the_same() -> None:
    mems = option("cpuset-mems")
    assert same(mems, "0", "0-0")
    assert not same(mems, "0", "0-1")
    assert not same(mems, "0", None)
    assert not same(mems, "", "x")
    assert not same(option("pids-limit"), "0", "0-0")
    assert result("cpuset-mems", "0-0", ("0",), ("0",), ("0",)) == (None, False)
