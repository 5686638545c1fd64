"""From a spool to columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.errors import SamplerError
from cgbench.measuring.readings import Readings, Target, read_spool
from cgbench.measuring.sampler_process import GONE, HEADER, TICK, TICK_FILE
from cgbench.records.samples import samples_table
from cgbench.spec.experiment import Sampling

relaxed = settings(deadline=None)

MS = 1_000_000
START = 5_000_000_000
TEN_TO_ONE = Sampling(fast_hz=100, slow_hz=10)
PERIOD = 10 * MS
LIMIT = Target("worker", Path("/cg/cpu.max"), text=True)
USAGE = Target("worker", Path("/cg/cpu.stat"))
SLOW = Target("worker", Path("/cg/memory.stat"), slow=True)
OTHER = Target("neighbour", Path("/other/cpu.max"), text=True)

Content = bytes | None


@dataclass(frozen=True)
class Tick:
    """One deadline that was met: its number, and what every file said; slow ones when due."""

    number: int
    contents: Sequence[Content]


def encoded(targets: Sequence[Target], ticks: Sequence[Tick]) -> bytes:
    """Write a spool as the loop does."""
    out = bytearray()
    previous: list[Content] = [None] * len(targets)
    for index, tick in enumerate(ticks):
        for file, (target, content) in enumerate(zip(targets, tick.contents, strict=True)):
            if target.slow and tick.number % 10:
                continue
            if content != previous[file]:
                previous[file] = content
                out += HEADER.pack(index, file, GONE if content is None else len(content))
                out += content or b""
        begin = START + tick.number * PERIOD + 30_000
        out += TICK.pack(index, TICK_FILE, 24, tick.number, begin, begin + 8_000)
    return bytes(out)


def decoded(folder: Path, targets: Sequence[Target], spool: bytes) -> Readings:
    path = folder / "spool"
    path.write_bytes(spool)
    return read_spool(path, targets, TEN_TO_ONE, START)


def column(readings: Readings, role: str, name: str) -> list[int | str | None]:
    """Expand one column to a value per tick."""
    for found in readings.samples(role).columns:
        if found.name == name:
            return [None if index < 0 else found.values[index] for index in found.index]
    return [None] * len(readings.begin_ns)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spools")


def cpu_stat(number: int) -> bytes:
    return f"nr_periods {number}\nnr_throttled {number // 2}\n".encode()


# From a spool to columns

texts = st.sampled_from([None, b"max 100000\n", b"50000 100000\n", b"\n"])
counters = st.one_of(
    st.sampled_from([*[None] * 4, *map(cpu_stat, range(4))]),
    st.integers(0, 2**63 - 1).map(cpu_stat),
)


@st.composite
def walks(draw: st.DrawFn) -> list[Tick]:
    numbers = sorted(draw(st.sets(st.integers(1, 100), min_size=1, max_size=40)))
    return [Tick(number, [draw(texts), draw(counters), draw(counters)]) for number in numbers]


def text_of(content: Content) -> str | None:
    return None if content is None else content.decode().strip()


def number_of(content: Content) -> int | None:
    return None if content is None else int(content.split()[1])


@given(walks())
@relaxed
def test_every_reading_comes_back_at_its_tick(folder: Path, ticks: list[Tick]) -> None:
    targets = [LIMIT, USAGE, SLOW]
    readings = decoded(folder, targets, encoded(targets, ticks))
    samples = readings.samples("worker")
    assert list(samples.t_ns) == [START + tick.number * PERIOD + 30_000 for tick in ticks]
    assert set(samples.late_ns) == {30_000}
    assert column(readings, "worker", "cpu.max") == [text_of(tick.contents[0]) for tick in ticks]
    assert column(readings, "worker", "cpu.stat:nr_periods") == [
        number_of(tick.contents[1]) for tick in ticks
    ]
    assert column(readings, "worker", "memory.stat:nr_periods") == [
        None if tick.number % 10 else number_of(tick.contents[2]) for tick in ticks
    ]


@given(ticks=walks(), share=st.floats(0, 1))
@relaxed
def test_a_torn_tail_is_dropped_with_its_tick_and_nothing_before_it(
    folder: Path, ticks: list[Tick], share: float
) -> None:
    targets = [LIMIT, USAGE, SLOW]
    spool = encoded(targets, ticks)
    torn = decoded(folder, targets, spool[: int(share * len(spool))])
    kept = len(torn.begin_ns)
    whole = decoded(folder, targets, encoded(targets, ticks[:kept]))
    assert list(torn.begin_ns) == list(whole.begin_ns)
    for name in ("cpu.max", "cpu.stat:nr_periods", "memory.stat:nr_throttled"):
        assert column(torn, "worker", name) == column(whole, "worker", name)


def test_a_tick_is_lost_only_with_its_own_record(tmp_path: Path) -> None:
    spool = encoded([LIMIT], [Tick(1, [b"max"]), Tick(2, [b"5000"])])
    assert len(decoded(tmp_path, [LIMIT], spool[:-1]).begin_ns) == 1
    assert len(decoded(tmp_path, [LIMIT], spool).begin_ns) == 2


@given(st.binary(max_size=200))
@relaxed
def test_any_bytes_are_either_a_spool_or_refused(folder: Path, garbage: bytes) -> None:
    try:
        readings = decoded(folder, [LIMIT, USAGE], garbage)
    except SamplerError:
        return
    assert len(readings.begin_ns) == 0


@pytest.mark.parametrize(
    "garbage",
    [
        b"this is no spool at all",
        HEADER.pack(0, 7, 0),
        HEADER.pack(2, 0, 0),
        HEADER.pack(0, TICK_FILE, 3) + b"abc",
        HEADER.pack(0, TICK_FILE, GONE),
    ],
)
def test_garbage_is_refused_with_the_place_of_the_first_wrong_record(
    tmp_path: Path, garbage: bytes
) -> None:
    good = encoded([LIMIT], [Tick(1, [b"max"])])
    for before in (b"", good):
        with pytest.raises(SamplerError) as caught:
            decoded(tmp_path, [LIMIT], before + garbage)
        place = f"{tmp_path / 'spool'}: the record at byte {len(before)} "
        assert caught.value.message.startswith(place)


def test_an_absent_spool_is_named(tmp_path: Path) -> None:
    with pytest.raises(SamplerError, match="absent: No such file"):
        read_spool(tmp_path / "absent", [LIMIT], TEN_TO_ONE, START)


def test_an_empty_spool_has_no_ticks(tmp_path: Path) -> None:
    readings = decoded(tmp_path, [LIMIT, SLOW], b"")
    assert len(readings.samples("worker").t_ns) == 0
    assert readings.samples("worker").columns == []


def test_an_odd_line_costs_no_other_reading_and_its_text_is_kept(tmp_path: Path) -> None:
    odd = b"nr_periods 4\nnr_throttled 2 of 4 or so\n"
    ticks = [Tick(number, [cpu_stat(number)]) for number in (1, 2)]
    readings = decoded(tmp_path, [USAGE], encoded([USAGE], [*ticks, Tick(3, [odd])]))
    assert column(readings, "worker", "cpu.stat:nr_periods") == [1, 2, 4]
    assert column(readings, "worker", "cpu.stat:nr_throttled") == [0, 1, None]
    assert column(readings, "worker", "cpu.stat!not-understood") == [
        None, None, "nr_throttled 2 of 4 or so"
    ]  # fmt: skip
    table = samples_table([readings.samples("worker")])
    assert table.column("cpu.stat!not-understood").to_pylist()[-1] == "nr_throttled 2 of 4 or so"


def test_each_container_gets_only_its_own_columns(tmp_path: Path) -> None:
    targets = [LIMIT, OTHER]
    readings = decoded(tmp_path, targets, encoded(targets, [Tick(1, [b"max", b"5000 100000"])]))
    assert column(readings, "worker", "cpu.max") == ["max"]
    assert column(readings, "neighbour", "cpu.max") == ["5000 100000"]
    assert readings.samples("nobody").columns == []


def test_a_key_that_appears_later_is_absent_before(tmp_path: Path) -> None:
    spool = encoded([USAGE], [Tick(1, [b"nr_periods 1\n"]), Tick(2, [cpu_stat(4)])])
    readings = decoded(tmp_path, [USAGE], spool)
    assert column(readings, "worker", "cpu.stat:nr_throttled") == [None, 2]


# When a file changed


def walked(folder: Path) -> Readings:
    values = [b"max", b"max", b"5000", b"5000", b"7000", b"max"]
    ticks = [Tick(number, [value]) for number, value in enumerate(values, 1)]
    return decoded(folder, [LIMIT], encoded([LIMIT], ticks))


def at(number: int) -> int:
    return START + number * PERIOD + 30_000


def held(readings: Readings, begin: int, end: int) -> list[tuple[int, str | None]]:
    found = readings.history(LIMIT.path, begin, end)
    return [] if found is None else [(one.t_ns, one.text) for one in found.readings]


def test_a_history_begins_with_what_stood_at_the_request_and_has_each_text_once(
    tmp_path: Path,
) -> None:
    readings = walked(tmp_path)
    assert held(readings, at(2), at(100)) == [
        (at(2), "max"), (at(3), "5000"), (at(5), "7000"), (at(6), "max"),
    ]  # fmt: skip
    # A reading that began before the request shows what stood at it.
    assert held(readings, at(4) + 1, at(6)) == [(at(4) + 1, "5000"), (at(5), "7000")]


def test_what_comes_after_the_stretch_asked_for_does_not_count(tmp_path: Path) -> None:
    assert held(walked(tmp_path), at(1), at(3)) == [(at(1), "max")]
    assert held(walked(tmp_path), at(7), at(9)) == [(at(7), "max")]


def test_a_file_that_vanished_has_no_text_from_then_on(tmp_path: Path) -> None:
    ticks = [Tick(1, [b"max"]), Tick(2, [None])]
    readings = decoded(tmp_path, [LIMIT], encoded([LIMIT], ticks))
    assert held(readings, at(1), at(9)) == [(at(1), "max"), (at(2), None)]


def test_a_file_that_was_not_sampled_has_no_history(tmp_path: Path) -> None:
    assert walked(tmp_path).history(Path("/cg/cpu.weight"), 0, at(100)) is None
    assert walked(tmp_path).history(LIMIT.path, 0, at(1)) is None
