"""What a daemon says of itself decides whether it is measured with."""

from __future__ import annotations

from typing import Any

import pytest

from cgbench.engine.daemon import Daemon
from cgbench.errors import DockerUnavailable

VERSION: dict[str, Any] = {
    "Version": "20.10.24", "ApiVersion": "1.41",
    "Components": [{"Name": "Engine"}, {"Name": "runc", "Version": "1.1.5"}],
}  # fmt: skip
INFO: dict[str, Any] = {
    "KernelVersion": "6.1.0", "CgroupDriver": "systemd", "Driver": "overlay2",
    "OperatingSystem": "Debian GNU/Linux 12",
}  # fmt: skip


def refused(version: dict[str, Any], info: dict[str, Any]) -> str:
    with pytest.raises(DockerUnavailable) as caught:
        Daemon(version, info).require_usable("unix:///x", "6.1.0")
    assert caught.value.advice
    return caught.value.message


def test_a_usable_daemon_is_described() -> None:
    daemon = Daemon(VERSION, INFO)
    daemon.require_usable("unix:///x", "6.1.0")
    assert daemon.product == "Engine 20.10.24"
    assert daemon.describe() == {
        "version": "20.10.24", "api": "1.41", "runc": "1.1.5", "cgroup_driver": "systemd",
        "storage_driver": "overlay2", "os": "Debian GNU/Linux 12",
        "engine": "docker", "runtime": "runc",
    }  # fmt: skip


def test_one_that_tells_little_is_unknown_and_not_guessed() -> None:
    daemon = Daemon({"ApiVersion": "1.41"}, {})
    assert daemon.describe()["runc"] == "unknown"
    assert daemon.describe()["cgroup_driver"] == "unknown"
    assert "another kernel (None)" in refused({"ApiVersion": "1.41"}, {})


def test_newer_apis_are_compared_as_numbers() -> None:
    Daemon(VERSION | {"ApiVersion": "1.100"}, INFO).require_usable("unix:///x", "6.1.0")
    assert "its API is 1.9," in refused(VERSION | {"ApiVersion": "1.9"}, INFO)


def test_one_without_cgroups_is_refused_and_called_rootless_only_where_it_is() -> None:
    none = INFO | {"CgroupDriver": "none"}
    assert refused(VERSION, none).startswith("the daemon at unix:///x has no cgroups")
    rootless = none | {"SecurityOptions": ["name=seccomp", "name=rootless"]}
    assert refused(VERSION, rootless).startswith("the rootless daemon at unix:///x")


def test_a_rootless_daemon_with_cgroups_is_taken() -> None:
    rootless = INFO | {"SecurityOptions": ["name=rootless", "name=cgroupns"]}
    Daemon(VERSION, rootless).require_usable("unix:///x", "6.1.0")


def test_podman_is_called_podman_and_crun_crun() -> None:
    podman = {
        "Version": "5.8.6", "ApiVersion": "1.44",
        "Components": [
            {"Name": "Podman Engine", "Version": "5.8.6"},
            {"Name": "Conmon", "Version": "conmon version 2.1.12, commit: unknown"},
            {"Name": "OCI Runtime (crun)", "Version": "crun version 1.28\ncommit: 4\nspec: 1.0"},
        ],
    }  # fmt: skip
    found = Daemon(podman, INFO).describe()
    assert (found["engine"], found["version"]) == ("podman", "5.8.6")
    assert (found["runtime"], found["runc"]) == ("crun", "1.28")


def test_docker_with_another_runtime_has_the_version_that_this_tells() -> None:
    features = '{"annotations": {"run.oci.crun.version": "1.21"}}'
    status = {"org.opencontainers.runtime-spec.features": features}
    info = INFO | {"DefaultRuntime": "crun", "Runtimes": {"crun": {"status": status}}}
    found = Daemon(VERSION, info).describe()
    assert (found["engine"], found["runtime"], found["runc"]) == ("docker", "crun", "1.21")


@pytest.mark.parametrize(
    "runtimes", [None, {}, {"crun": {"path": "crun"}}, {"crun": {"status": {
        "org.opencontainers.runtime-spec.features": "no JSON"}}}],
)  # fmt: skip
def test_a_runtime_that_tells_no_version_has_not_that_of_runc(runtimes: Any) -> None:
    found = Daemon(VERSION, INFO | {"DefaultRuntime": "crun", "Runtimes": runtimes}).describe()
    assert (found["runtime"], found["runc"]) == ("crun", "unknown")


def test_a_daemon_without_components_has_no_engine_made_up_for_it() -> None:
    assert "engine" not in Daemon({"ApiVersion": "1.41"}, {}).describe()
