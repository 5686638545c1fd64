"""Examples answer in containers without root, network, or a place to write to but /tmp.

Two of them, which are small: each is built once, as `.ci/setup test` does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from cgbench.engine import image
from cgbench.engine.container_spec import ContainerSpec
from cgbench.engine.engine import Engine
from cgbench.errors import ImageError
from cgbench.spec import workload
from tests.made.command import cgbench

pytestmark = pytest.mark.docker

FOLDER = workload.directory()
PATIENCE_S = 30
# In the container's network, and otherwise on this host: it asks until something answers.
ASK = """
import socket, sys, time
port, question = int(sys.argv[1]), sys.argv[2].encode().decode("unicode_escape").encode()
while True:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(question)
            sys.exit(connection.recv(65536).decode(errors="replace"))
    except ConnectionRefusedError:
        time.sleep(0.01)
"""


def built(engine: Engine, name: str) -> str:
    """Return the image of an example; without it, fail or skip as without Docker."""
    try:
        return image.resolved(engine.images, f"cgbench/{name}", FOLDER)
    except ImageError as error:
        if os.environ.get("CGBENCH_REQUIRE_DOCKER"):
            raise
        pytest.skip(str(error))


def its_command(name: str) -> list[str]:
    last = (FOLDER / name / "Dockerfile").read_text().splitlines()[-1]
    words: list[str] = json.loads(last.removeprefix("CMD "))
    return words


def asked(pid: int, port: int, question: str) -> str:
    """Return what is answered to a question on the loopback of a process."""
    command = ["nsenter", "--target", str(pid), "--net", sys.executable, "-c", ASK]
    done = subprocess.run(
        [*command, str(port), question], capture_output=True, text=True, timeout=PATIENCE_S,
        check=False,
    )  # fmt: skip
    return done.stderr


@pytest.mark.parametrize(
    ("name", "port", "question", "answer"),
    [
        ("redis", 6379, r"PING\r\n", "+PONG"),
        ("nginx", 8080, r"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK"),
    ],
)
def test_an_example_answers_in_a_container_that_may_do_nothing(
    engine: Engine, name: str, port: int, question: str, answer: str
) -> None:
    spec = ContainerSpec(
        name=f"cgbench-test-{time.monotonic_ns()}",
        image=built(engine, name),
        argv=its_command(name),
        run="test",
        options={},
        memory=64 * 2**20,
        pids=16,
        deadline_s=120,
        probe=None,
    )
    with engine.container(spec) as container:
        inspected = engine.inspected(container)
        assert inspected is not None
        assert asked(inspected.pid, port, question).startswith(answer)


def test_what_is_built_is_listed_and_not_built_again(engine: Engine) -> None:
    tag = built(engine, "redis")
    done = cgbench("image", "list", "--json", "-")
    (found,) = [one for one in json.loads(done.stdout) if one["name"] == "redis"]
    assert found["tag"] == tag
    assert found["built"]
    assert found["size_bytes"] > 50_000_000
    again = cgbench("image", "build", "redis")
    assert (again.returncode, again.stdout) == (0, f"{tag}\n")
