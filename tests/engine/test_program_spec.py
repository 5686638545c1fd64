"""What the Engine API is asked for where a program of one's own is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from cgbench.engine.program_spec import ProgramSpec
from cgbench.spec.program import Program


def body(program: Program, **more: Any) -> dict[str, Any]:
    spec = ProgramSpec(
        name="x", image=program.image, program=program, guard="g", network="none", run="r",
        owner="o",
        options=more.pop("options", {}), memory=64 * 2**20, pids=64, **more,
    )  # fmt: skip
    return cast(dict[str, Any], spec.body())


def test_a_program_is_as_confined_as_a_built_in_workload() -> None:
    found = body(Program(image="nginx"))
    config = found["HostConfig"]
    assert found["User"] == "65534:65534"
    assert config["CapDrop"] == ["ALL"]
    assert config["CapAdd"] == []
    assert config["SecurityOpt"] == ["no-new-privileges"]
    assert config["ReadonlyRootfs"] is True
    assert config["Memory"] == config["MemorySwap"] == 64 * 2**20
    assert config["PidsLimit"] == 64
    assert config["OomScoreAdj"] == 1000
    assert found["Healthcheck"] == {"Test": ["NONE"]}


def test_it_dies_with_its_guard_and_has_a_network_of_its_own() -> None:
    config = body(Program(image="nginx"))["HostConfig"]
    assert config["PidMode"] == "container:g"
    assert config["NetworkMode"] == "none"


def test_the_images_own_command_is_kept_unless_another_is_given() -> None:
    assert not {"Cmd", "Entrypoint"} & body(Program(image="nginx")).keys()
    assert body(Program(image="x", command=("a", "b")))["Cmd"] == ["a", "b"]
    assert body(Program(image="x", entrypoint=("/e",)))["Entrypoint"] == ["/e"]
    assert body(Program(image="x", entrypoint=()))["Entrypoint"] == [""]


def test_what_its_file_loosens_is_loosened_and_nothing_else() -> None:
    loose = Program(
        image="x", user="root", capabilities=("CHOWN",), read_only=False, writable=("/run",),
        environment={"A": "b=c"},
    )  # fmt: skip
    found = body(loose, parent="/p", files={"/etc/x": Path("/tmp/f")})
    config = found["HostConfig"]
    assert (found["User"], found["Env"]) == ("root", ["A=b=c"])
    assert (config["CapAdd"], config["ReadonlyRootfs"]) == (["CHOWN"], False)
    assert set(config["Tmpfs"]) == {"/tmp", "/run"}
    assert config["CgroupParent"] == "/p"
    assert config["Mounts"] == [
        {"Type": "bind", "Source": "/tmp/f", "Target": "/etc/x", "ReadOnly": True}
    ]


def test_it_is_born_with_its_options() -> None:
    config = body(Program(image="x"), options={"cpus": "0.5", "memory": "32m"})["HostConfig"]
    assert config["NanoCpus"] == 500_000_000
    assert config["Memory"] == 32 * 2**20
