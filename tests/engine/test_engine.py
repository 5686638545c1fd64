"""The engine: who may be talked to, what is started how, and that nothing stays behind."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cgbench.engine import image
from cgbench.engine.container_spec import ContainerSpec
from cgbench.engine.engine import Engine
from cgbench.errors import DockerUnavailable, ImageError, UpdateRejected
from cgbench.spec import workload
from tests.made.daemon import HERE, OLD, PRESENT, listening


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:2375", "ssh://root@example", "npipe:////x"])
def test_a_remote_daemon_is_refused_since_sampling_needs_the_local_kernel(address: str) -> None:
    with pytest.raises(DockerUnavailable, match="remote") as caught:
        Engine({"DOCKER_HOST": address})
    assert address in caught.value.message
    assert caught.value.advice


def test_no_daemon_is_told_with_its_address_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DockerUnavailable, match=r"no Docker daemon answers at unix://.*/none"):
        Engine({"DOCKER_HOST": f"unix://{tmp_path}/none"})


def refusal(socket: Path, version: Mapping[str, object], info: Mapping[str, object]) -> str:
    """Return why an engine refuses a daemon that says this of itself."""
    with (
        listening(socket, version=version, info=info) as address,
        pytest.raises(DockerUnavailable) as caught,
    ):
        Engine({"DOCKER_HOST": address})
    assert caught.value.advice
    return caught.value.message


def test_a_daemon_that_is_too_old_is_told_with_both_versions(tmp_path: Path) -> None:
    told = refusal(tmp_path / "sock", OLD, HERE)
    assert "too old: its API is 1.27, cgbench needs 1.41" in told


def test_a_daemon_on_another_kernel_is_refused_since_its_cgroups_are_not_here(
    tmp_path: Path,
) -> None:
    told = refusal(tmp_path / "sock", PRESENT, HERE | {"KernelVersion": "5.15.49-linuxkit"})
    assert "another kernel (5.15.49-linuxkit)" in told


def test_a_daemon_without_cgroups_is_refused(tmp_path: Path) -> None:
    lacking = HERE | {"CgroupDriver": "none", "SecurityOptions": ["name=rootless"]}
    told = refusal(tmp_path / "sock", PRESENT, lacking)
    assert told.startswith(f"the rootless daemon at unix://{tmp_path}/sock (DOCKER_HOST) has no")


def test_a_daemon_without_update_is_refused_with_its_name_and_answer(tmp_path: Path) -> None:
    told = refusal(tmp_path / "sock", PRESENT, HERE)
    assert told.startswith("Podman Engine 4.3.1 at unix://")
    assert "knows no `docker update`: it answers 404" in told


@pytest.mark.docker
def test_a_second_daemon_with_a_socket_elsewhere_is_used(tmp_path: Path) -> None:
    socket = tmp_path / "docker.sock"
    options = [f"--data-root={tmp_path}/data", f"--exec-root={tmp_path}/exec",
               f"--pidfile={tmp_path}/pid", f"--host=unix://{socket}",
               "--bridge=none", "--iptables=false"]  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        daemon = subprocess.Popen(["dockerd", *options], stdout=log, stderr=log)
    try:
        limit = time.monotonic() + 30
        while True:
            try:
                second = Engine({"DOCKER_HOST": f"unix://{socket}"})
                break
            except DockerUnavailable:
                assert time.monotonic() < limit, (tmp_path / "log").read_text()[-2000:]
                time.sleep(0.1)
        assert not second.images.has_image(image.tag(workload.directory()))
        assert second.endpoint.path == str(socket)
        second.close()
    finally:
        daemon.terminate()
        daemon.wait(30)


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    assert engine.leftovers() == []
    engine.close()


def spec(*argv: str, tag: str | None = None, deadline_s: int = 30) -> ContainerSpec:
    return ContainerSpec(
        name=f"cgbench-test-{time.monotonic_ns()}",
        image=tag or image.tag(workload.directory()),
        argv=argv,
        run="test",
        options={"cpu-quota": 50_000},
        memory=32 * 2**20,
        pids=16,
        deadline_s=deadline_s,
        probe=None,
    )


@pytest.mark.docker
def test_a_missing_image_is_named_with_the_command_that_builds_it(engine: Engine) -> None:
    with (
        pytest.raises(ImageError, match="cgbench/workload:none is missing") as caught,
        engine.container(spec("true", tag="cgbench/workload:none")),
    ):
        pass
    assert caught.value.advice is not None
    assert "cgbench image build" in caught.value.advice


@pytest.mark.docker
def test_a_container_has_no_network_no_capabilities_no_root_and_a_read_only_root(
    engine: Engine,
) -> None:
    script = (
        "id -u; grep CapEff /proc/self/status; ls /sys/class/net; "
        "touch /x 2>&1; grep NoNewPrivs /proc/self/status; sleep 20"
    )
    with engine.container(spec("sh", "-c", script)) as container_id:
        deadline = time.monotonic() + 10
        while "NoNewPrivs" not in engine.logs(container_id) and time.monotonic() < deadline:
            time.sleep(0.05)
        said = engine.logs(container_id).splitlines()
    assert said[0] == "65534"
    assert said[1].split() == ["CapEff:", "0000000000000000"]
    assert said[2] == "lo"
    assert "Read-only file system" in said[3]
    assert said[4].split() == ["NoNewPrivs:", "1"]


@pytest.mark.docker
def test_a_container_is_removed_also_when_its_user_fails(engine: Engine) -> None:
    def use() -> None:
        with engine.container(spec("sleep", "20")):
            assert len(engine.leftovers()) == 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        use()
    assert engine.leftovers() == []


@pytest.mark.docker
def test_a_container_ends_by_itself_on_its_deadline(engine: Engine) -> None:
    with engine.container(spec("sleep", "60", deadline_s=1)) as container_id:
        limit = time.monotonic() + 15
        while (state := engine.state(container_id)) and state.running:
            assert time.monotonic() < limit, "it outlived its deadline"
            time.sleep(0.05)
    assert state is not None
    assert state.exit_code == 137


@pytest.mark.docker
def test_an_update_is_stamped_and_refusals_carry_the_daemons_words(engine: Engine) -> None:
    with engine.container(spec("sleep", "20")) as container_id:
        before = time.monotonic_ns()
        answer = engine.update(container_id, {"cpu-quota": 20_000})
        assert before <= answer.t_request_ns < answer.t_answer_ns <= time.monotonic_ns()
        with pytest.raises(UpdateRejected, match=r"--cpus 0\.5 was refused: "):
            engine.update(container_id, {"cpus": "0.5"})


@pytest.mark.docker
def test_removing_twice_is_no_error(engine: Engine) -> None:
    with engine.container(spec("sleep", "20")) as container_id:
        engine.remove(container_id)
        engine.remove(container_id)
        assert engine.state(container_id) is None


@pytest.mark.docker
def test_docker_stats_are_recorded_at_dockers_pace(engine: Engine) -> None:
    with engine.container(spec("sh", "-c", "while :; do :; done")) as container_id:
        stream = engine.stats(container_id)
        time.sleep(5)
    points = stream.finish()
    assert 2 <= len(points) <= 8
    seen = [point.cpus for point in points if point.cpus is not None]
    assert seen[-1] == pytest.approx(0.5, abs=0.15)


@pytest.mark.docker
def test_the_stats_of_a_container_that_ended_are_no_broken_stream(engine: Engine) -> None:
    with engine.container(spec("sleep", "1")) as container_id:
        stream = engine.stats(container_id)
        limit = time.monotonic() + 30
        while (state := engine.state(container_id)) and state.running:
            assert time.monotonic() < limit, "it does not end"
            time.sleep(0.05)
        assert state is not None
        # Docker goes on with one message a second.
        time.sleep(2)
        assert stream.broken is None
        stream.expect_end()
    stream.finish()
    assert stream.broken is None


@pytest.mark.docker
def test_the_stats_of_a_container_that_is_removed_from_outside_are_broken(engine: Engine) -> None:
    with engine.container(spec("sleep", "20")) as container_id:
        stream = engine.stats(container_id)
        time.sleep(2)
        engine.remove(container_id)
        stream.finish()
        assert stream.broken == "the stream of docker stats broke: the daemon closed it"
