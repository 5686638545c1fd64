"""Hosts are told apart by what may change what a limit does, and by no more."""

from __future__ import annotations

import pytest

from cgbench.records.host_key import PARTS, HostKey, host_key
from tests.made import records


def key(**changes: object) -> HostKey:
    return host_key(records.host(**changes))


def test_parts_are_the_fields_of_a_key() -> None:
    assert [part.name for part in PARTS] == list(HostKey.model_fields)


def test_a_key_is_without_marks_of_packaging_and_patch_levels_of_kernels() -> None:
    found = key(kernel="6.12.117+deb13-cloud-amd64", docker="26.1.5+dfsg1", runc="1.1.15+ds1")
    assert (found.kernel, found.engine, found.runtime) == ("6.12", "docker 26.1.5", "runc 1.1.15")


def test_memory_and_cpus_are_no_part_of_it_and_emulation_is() -> None:
    assert key(cpus=64, memory_bytes=1, hostname="x") == key()
    assert key(cpu_model="QEMU TCG CPU version 2.5+").differing(key()) == ("emulated",)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"kernel": "6.2.0"}, "kernel"), ({"cgroup": "v2"}, "layout"),
        ({"cgroup_driver": "systemd"}, "driver"), ({"docker": "29.0"}, "engine"),
        ({"engine": "podman"}, "engine"), ({"runc": "1.4"}, "runtime"),
        ({"runtime": "crun"}, "runtime"), ({"systemd": "none"}, "systemd"),
        ({"io_control": "none"}, "io_control"), ({"memory_nodes": 2}, "memory_nodes"),
    ],
)  # fmt: skip
def test_a_host_that_differs_in_one_thing_differs_in_one_part(
    changes: dict[str, str | int], part: str
) -> None:
    assert key(**changes).differing(key()) == (part,)


def test_what_was_not_recorded_is_empty_and_not_known_to_be_the_same() -> None:
    old = key(engine=None, systemd=None)
    assert old.words("engine") == old.words("systemd") == ""
    assert old.differing(old) == ("engine", "systemd")


def test_a_key_is_said_in_one_line() -> None:
    assert key().line == (
        "kernel 6.1, cgroup v1, cgroupfs driver, docker 20.10.24, runc 1.1.5, systemd 252, "
        "I/O control bfq, real CPU"
    )
    # What an older run did not record is one, and not worth a word.
    assert key(memory_nodes=None) == key()
    assert key(memory_nodes=2).line.endswith("I/O control bfq, 2 memory nodes, real CPU")
    bare = key(systemd="none", io_control="none", engine=None)
    assert bare.line.endswith("cgroupfs driver, runc 1.1.5, no systemd, no I/O control, real CPU")
