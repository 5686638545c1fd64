"""A trial's tables, read part by part: the same as if each were read whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.records.run_directory import RunDirectory
from cgbench.records.samples import Column, ProbeLog, Samples, TrialData
from cgbench.records.trial_tables import TrialTables
from tests.made import parquet
from tests.made.records import trial


def integers(values: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


def samples(role: str, usage: list[int | None]) -> Samples:
    index = np.array([-1 if one is None else at for at, one in enumerate(usage)], np.int32)
    column = Column("usage", index, tuple(usage))
    times = list(range(len(usage)))
    return Samples(role, integers(times), integers(times), [column])


def kept(folder: Path, parts: list[Samples], probes: list[ProbeLog], group: int) -> TrialTables:
    """Write a trial whose files hold `group` rows in a row group."""
    directory = RunDirectory.create(folder, "mine", "run")
    directory.write_trial(trial(), TrialData(parts, probes, ()))
    for path in (directory.path / "samples").iterdir():
        if (table := parquet.read(path)).num_rows:
            pq.write_table(table, path, row_group_size=group)
    return directory.tables(1)


readings = st.lists(st.one_of(st.none(), st.integers(0, 2**60)), min_size=1, max_size=12)


@given(mine=readings, other=readings, group=st.integers(1, 5))
@settings(deadline=None, max_examples=40)
def test_row_groups_and_neighbours_do_not_change_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, mine: list[int | None], other: list[int | None],
    group: int,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("trial")
    with kept(folder, [samples("a", mine), samples("b", other)], [], group) as tables:
        for role, wanted in (("a", mine), ("b", other)):
            found = tables.sample(role, "usage", float)
            expected = [np.nan if one is None else float(one) for one in wanted]
            np.testing.assert_array_equal(found, np.array(expected))
            np.testing.assert_array_equal(tables.sample(role, "t_ns"), np.arange(len(wanted)))


def test_whole_numbers_stay_whole_until_a_reading_lacks(tmp_path: Path) -> None:
    whole, broken = [2**61 + 1, 2**61 + 3], [5, 6, 7, None]
    with kept(tmp_path, [samples("a", [*whole]), samples("b", [*broken])], [], 2) as tables:
        assert tables.sample("a", "usage").tolist() == whole
        found = tables.sample("b", "usage")
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, [5, 6, 7, np.nan])


@pytest.mark.parametrize(("most", "size"), [(200, 1), (60_000, 2), (2**31, 4), (2**40, 8)], ids=str)
def test_small_numbers_of_a_probe_take_little_room_and_lose_nothing(
    tmp_path: Path, most: int, size: int
) -> None:
    log = ProbeLog("a", 1, integers([1, 2, 3]), integers([0, most, 1]), *[integers([])] * 2)
    with kept(tmp_path, [], [log], 2) as tables:
        units = tables.probe("a")["units"]
    assert units.tolist() == [0, most, 1]
    assert units.dtype.itemsize == size


def test_names_are_those_that_a_pattern_fits_and_a_missing_role_has_no_rows(
    tmp_path: Path,
) -> None:
    with kept(tmp_path, [samples("a", [1, 2])], [], 1) as tables:
        assert tables.names("us*") == ["usage"]
        assert tables.names("cpu.stat:*") == []
        assert tables.sample("nobody", "usage").tolist() == []
