"""The engine: who may be talked to, what is started how, and that nothing stays behind."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cgbench import image, workload
from cgbench.engine import ContainerSpec, Engine
from cgbench.errors import DockerUnavailable, ImageError, UpdateRejected


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:2375", "ssh://root@example", "npipe:////x"])
def test_a_remote_daemon_is_refused_since_sampling_needs_the_local_kernel(address: str) -> None:
    with pytest.raises(DockerUnavailable, match="remote") as caught:
        Engine({"DOCKER_HOST": address})
    assert address in caught.value.message
    assert caught.value.advice


def test_no_daemon_is_told_with_its_address_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DockerUnavailable, match=r"no Docker daemon answers at unix://.*/none"):
        Engine({"DOCKER_HOST": f"unix://{tmp_path}/none"})


class OldDaemon(http.server.BaseHTTPRequestHandler):
    """Answers as a Docker of 2017 would."""

    def do_GET(self) -> None:
        answer = {"Version": "17.03.2", "ApiVersion": "1.27", "MinAPIVersion": "1.12"}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "local"

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def old_daemon(tmp_path: Path) -> Iterator[str]:
    with socketserver.ThreadingUnixStreamServer(str(tmp_path / "sock"), OldDaemon) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"unix://{tmp_path}/sock"
        server.shutdown()
        thread.join()


def test_a_daemon_that_is_too_old_is_told_with_both_versions(old_daemon: str) -> None:
    with pytest.raises(DockerUnavailable, match=r"too old: its API is 1\.27, cgbench needs 1\.41"):
        Engine({"DOCKER_HOST": old_daemon})


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
