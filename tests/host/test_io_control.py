"""What can share out I/O is read from the kernel: schedulers, modules, and the cost model of v2."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench.host import io_control
from tests.made import host_tree


def found(root: Path) -> str:
    return io_control.found(root / "proc", root)


def test_a_host_with_neither_says_so(tmp_path: Path) -> None:
    tree = host_tree.v2(tmp_path)
    tree.write("sys/block/vda/queue/scheduler", "[none] mq-deadline\n")
    assert found(tmp_path) == "none"


@pytest.mark.parametrize("make", [host_tree.v2, host_tree.hybrid])
def test_a_device_that_offers_bfq_is_enough(make: object, tmp_path: Path) -> None:
    assert callable(make)
    make(tmp_path).write("sys/block/vda/queue/scheduler", "[none] mq-deadline bfq\n")
    assert found(tmp_path) == "bfq"


def test_so_is_its_module_where_no_device_has_a_scheduler(tmp_path: Path) -> None:
    host_tree.v2(tmp_path)
    (tmp_path / "sys/module/bfq").mkdir(parents=True)
    assert found(tmp_path) == "bfq"


@pytest.mark.parametrize(
    ("qos", "expected"),
    [
        ("254:0 enable=1 ctrl=auto model=linear\n", "io.cost"),
        ("254:0 enable=0 ctrl=auto\n254:16 enable=1 ctrl=user\n", "io.cost"),
        ("254:0 enable=0 ctrl=auto rpct=0.00\n", "none"),
        ("", "none"),
    ],
)
def test_the_cost_model_counts_where_a_device_has_it_switched_on(
    qos: str, expected: str, tmp_path: Path
) -> None:
    host_tree.v2(tmp_path).write("sys/fs/cgroup/io.cost.qos", qos)
    assert found(tmp_path) == expected


def test_both_are_named(tmp_path: Path) -> None:
    tree = host_tree.v2(tmp_path)
    tree.write("sys/block/vda/queue/scheduler", "none [bfq]\n")
    tree.write("sys/fs/cgroup/io.cost.qos", "254:0 enable=1\n")
    assert found(tmp_path) == "bfq, io.cost"


def test_a_host_without_any_cgroup_has_no_cost_model(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text("")
    assert found(tmp_path) == "none"
