"""Names of hosts side by side: short where they can be, different always."""

from __future__ import annotations

from cgbench.reporting.words.hosts import caveat, described, names
from tests.made.records import HOST

V2 = HOST.model_copy(update={"cgroup": "v2"})
NEWER = HOST.model_copy(update={"kernel": "6.12.0"})


def test_hosts_of_different_names_keep_them() -> None:
    other = HOST.model_copy(update={"hostname": "other"})
    assert names([HOST, other]) == ["made-up", "other"]
    assert names([]) == []


def test_hosts_of_one_name_get_what_tells_them_apart() -> None:
    assert names([HOST, V2]) == ["made-up (v1)", "made-up (v2)"]
    assert names([HOST, NEWER]) == ["made-up (v1, 6.1.0)", "made-up (v1, 6.12.0)"]
    assert names([HOST, HOST]) == ["made-up (1)", "made-up (2)"]


def test_a_legend_tells_kernel_and_cgroup_version_once() -> None:
    assert described("made-up", V2) == "made-up, kernel 6.1.0, cgroup v2"
    assert described("made-up (v2)", V2) == "made-up (v2), kernel 6.1.0"


def test_an_emulated_cpu_is_reported_since_its_times_mislead() -> None:
    emulated = HOST.model_copy(update={"cpu_model": "QEMU TCG CPU version 2.5+"})
    assert "its CPU is emulated" in (caveat(emulated) or "")
    assert caveat(HOST) is None
