"""What a group counted is read by one name on v1 and v2, its own and no group's below."""

from __future__ import annotations

from pathlib import Path

from cgbench.host import counts
from cgbench.host.cgroups import Cgroup


def written(folder: Path, **files: str) -> Path:
    """Write files whose names have `_` for the first dot."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup.procs").write_text("")
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(f"{text}\n")
    return folder


def test_of_v2_what_is_local_counts(tmp_path: Path) -> None:
    group = Cgroup({}, written(
        tmp_path, memory_events="max 9\noom 3\noom_kill 2",
        **{"memory_events.local": "max 4\noom 1\noom_kill 1"}, memory_max="1048576",
        memory_current="4096", pids_max="max", pids_current="3", pids_events="max 2",
        cpu_stat="usage_usec 5\nnr_periods 10\nnr_throttled 4\nthrottled_usec 7",
    ))  # fmt: skip
    assert counts.counts(group) == {
        "usage_ns": 5000, "periods": 10, "throttled_periods": 4, "throttled_ns": 7000,
        "memory_bytes": 4096, "oom_kills": 2, "tasks": 3, "memory_max": 1048576,
        "limit_hits": 4, "out_of_memory": 1, "refused_forks": 2,
    }  # fmt: skip


def test_an_older_v2_without_local_events_has_those_of_all_below(tmp_path: Path) -> None:
    group = Cgroup({}, written(tmp_path, memory_events="max 9\noom 3\noom_kill 2"))
    assert counts.counts(group) == {"oom_kills": 2, "limit_hits": 9}


def test_v1_counts_memory_and_swap_apart_and_asks_that_first(tmp_path: Path) -> None:
    memory = written(
        tmp_path / "memory", memory_failcnt="3", **{"memory_memsw.failcnt": "40"},
        memory_limit_in_bytes="1048576", memory_usage_in_bytes="4096",
        memory_oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 2",
    )  # fmt: skip
    assert counts.counts(Cgroup({"memory": memory}, None)) == {
        "memory_bytes": 4096, "oom_kills": 2, "memory_max": 1048576, "limit_hits": 43,
        "under_oom": 0,
    }  # fmt: skip


def test_a_counter_that_stays_0_although_the_limit_was_reached_is_left_out(
    tmp_path: Path,
) -> None:
    """Seen with Linux 6.18 on v1: nothing is counted, and 0 would be a lie."""
    files = {"memory_failcnt": "0", "memory_memsw.failcnt": "0",
             "memory_limit_in_bytes": "1048576"}  # fmt: skip
    at = Cgroup({"memory": written(tmp_path / "a", memory_max_usage_in_bytes="1048576", **files)},
                None)  # fmt: skip
    assert "limit_hits" not in counts.counts(at)
    below = Cgroup({"memory": written(tmp_path / "b", memory_max_usage_in_bytes="4096", **files)},
                   None)  # fmt: skip
    assert counts.counts(below)["limit_hits"] == 0


def test_what_is_not_limited_is_left_out(tmp_path: Path) -> None:
    memory = written(tmp_path / "memory", memory_limit_in_bytes="9223372036854771712")
    assert "memory_max" not in counts.counts(Cgroup({"memory": memory}, None))


def test_levels_of_hierarchies_that_are_not_equally_deep(tmp_path: Path) -> None:
    cpu = written(tmp_path / "cpu/docker/a")
    written(tmp_path / "cpu/docker")
    written(tmp_path / "cpu")
    pids = written(tmp_path / "pids/a")
    written(tmp_path / "pids")
    levels = list(counts.levels(Cgroup({"cpu": cpu, "pids": pids}, None)))
    assert [path for path, _ in levels] == ["/docker/a", "/docker", "/"]
    assert [set(group.directories) for _, group in levels] == [
        {"cpu", "pids"}, {"cpu", "pids"}, {"cpu"},
    ]  # fmt: skip
    assert levels[1][1].directories["pids"] == tmp_path / "pids"
