"""Of all measured hosts the one most like another is found, and what did not hold there."""

from __future__ import annotations

from typing import Any

import pytest

from cgbench.judging.elsewhere import elsewhere
from cgbench.records.atlas import AtlasRow
from cgbench.records.host_key import HostKey, host_key
from cgbench.records.verdict import Outcome
from tests.made import atlas_rows, records

EMULATED = "QEMU TCG CPU version 2.5+"
SOME = {
    "cpus": Outcome.EFFECTIVE, "memory": Outcome.IGNORED, "restart": Outcome.INCONCLUSIVE,
    "pids-limit": Outcome.WRONG,
}  # fmt: skip


def row(name: str, **host: Any) -> AtlasRow:
    return atlas_rows.row(name, SOME, **host)


def key(**host: Any) -> HostKey:
    return host_key(records.host(**host))


def test_the_host_that_differs_in_the_fewest_parts_is_the_nearest() -> None:
    rows = [row("far", runc="1.4", kernel="5.10"), row("near", runc="1.4"), row("no", cgroup="v2")]
    found = elsewhere(rows, key())
    assert found is not None
    assert found.row == "near"
    ((part, there, here),) = [(one.part, one.there, one.here) for one in found.unlike]
    assert (part, there) == ("runtime", "runc 1.4")
    assert here is not None
    assert here.startswith("runc ")
    assert here != there


@pytest.mark.parametrize(
    ("kernel", "docker", "row_name"),
    [("6.2", "22.0", "old"), ("6.11", "27.0", "middle"), ("8.0", "30.0", "new"),
     # No version lies beyond what is known: 6.6 is next to both, and Docker decides.
     ("6.6", "20.11", "old"), ("6.6", "27.5", "middle")],
)  # fmt: skip
def test_of_hosts_that_differ_in_as_many_parts_the_versions_decide(
    kernel: str, docker: str, row_name: str
) -> None:
    rows = [row("new", kernel="7.2", docker="28.5"), row("old", kernel="6.1", docker="20.10"),
            row("middle", kernel="6.12", docker="26.1")]  # fmt: skip
    found = elsewhere(rows, key(kernel=kernel, docker=docker))
    assert found is not None
    assert found.row == row_name


def test_an_emulated_cpu_decides_only_between_hosts_that_are_else_alike() -> None:
    emulated, other = row("emulated", cpu_model=EMULATED), row("other", runc="1.4")
    found = elsewhere([other, emulated], key())
    assert found is not None
    assert (found.row, [one.part for one in found.unlike]) == ("emulated", ["CPU"])
    found = elsewhere([row("real", runc="1.4"), row("also", runc="1.4", cpu_model=EMULATED)], key())
    assert found is not None
    assert found.row == "real"


def test_a_host_with_another_layout_of_cgroups_is_not_like_it() -> None:
    assert elsewhere([row("a", cgroup="v2")], key()) is None
    assert elsewhere([row("a")], key(cgroup="v2")) is None
    assert elsewhere([], key()) is None
    assert elsewhere([row("a", cgroup="hybrid")], key()) is None


def test_only_what_fails_is_not_so_and_what_was_left_open_does_not() -> None:
    found = elsewhere([row("a")], key())
    assert found is not None
    assert found.options == tuple(SOME)
    assert [one.option for one in found.not_so] == ["memory", "pids-limit"]
    assert [one.verdict for one in found.not_so] == ["ignored", "wrong"]


def test_only_the_options_that_are_asked_about_are_told() -> None:
    found = elsewhere([row("a")], key(), {"cpus", "pids-limit", "device-throttle"})
    assert found is not None
    assert found.options == ("cpus", "pids-limit")
    assert [one.option for one in found.not_so] == ["pids-limit"]


def test_what_was_not_recorded_is_unlike_and_has_no_words() -> None:
    found = elsewhere([row("a", systemd=None)], key())
    assert found is not None
    (unlike,) = found.unlike
    assert (unlike.part, unlike.there) == ("systemd", None)
    assert unlike.here is not None
