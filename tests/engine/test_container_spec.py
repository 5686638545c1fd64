"""What the Engine API is asked for, so that a container cannot hurt its host."""

from __future__ import annotations

from typing import Any, cast

from cgbench.engine.container_spec import ContainerSpec


def host_config() -> dict[str, Any]:
    spec = ContainerSpec(
        name="x", image="i", argv=["true"], run="r", options={}, memory=64 * 2**20, pids=64,
        deadline_s=30, probe=None,
    )  # fmt: skip
    return cast(dict[str, Any], spec.body()["HostConfig"])


def test_stress_is_the_oom_killers_first_choice_however_much_the_hosts_work_holds() -> None:
    """Finding 7: 500 adds half the host's memory, so a larger database was killed first."""
    assert host_config()["OomScoreAdj"] == 1000


def test_a_container_has_no_network_no_capabilities_and_capped_memory_and_tasks() -> None:
    config = host_config()
    assert config["NetworkMode"] == "none"
    assert config["CapDrop"] == ["ALL"]
    assert config["ReadonlyRootfs"] is True
    assert config["Memory"] == config["MemorySwap"] == 64 * 2**20
    assert config["PidsLimit"] == 64
