"""The choice of the socket: in the order of Docker's client, local only, never guessed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cgbench.engine import endpoint
from cgbench.engine.endpoint import STANDARD, Endpoint
from cgbench.errors import DockerUnavailable


def context(config: Path, name: str, document: object) -> Path:
    """Write a context's file where Docker keeps it, and return its path."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    path = config / "contexts" / "meta" / digest / "meta.json"
    path.parent.mkdir(parents=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def at(address: object) -> dict[str, object]:
    return {"Name": "x", "Endpoints": {"docker": {"Host": address, "SkipTLSVerify": False}}}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path


def chosen(config: Path, **environment: str) -> Endpoint:
    return endpoint.choose({"DOCKER_CONFIG": str(config), **environment})


def test_without_anything_named_it_is_dockers_own_socket(config: Path) -> None:
    assert chosen(config) == Endpoint(STANDARD)
    assert chosen(config).words == "unix:///var/run/docker.sock"
    (config / "config.json").write_text('{"auths": {}}')
    assert chosen(config) == Endpoint(STANDARD)


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ('{"HttpHeaders": {"X-Token": "abc"}}', {"X-Token": "abc"}),
        ('{"HttpHeaders": {"X-Token": "a\\r\\nb", "X-Other": "\u00e4", "": "c"}}', {}),
        ('{"HttpHeaders": ["X-Token"]}', {}),
        ('{"HttpHeaders": null}', {}),
        ("[]", {}),
        ("no JSON", {}),
    ],
)
def test_what_the_users_configuration_adds_to_every_request_is_added(
    config: Path, said: str, fields: dict[str, str]
) -> None:
    (config / "config.json").write_text(said)
    assert chosen(config, DOCKER_HOST="unix:///x").fields == fields


def test_a_socket_elsewhere_is_named_by_docker_host(config: Path) -> None:
    found = chosen(config, DOCKER_HOST="unix:///run/user/1000/docker.sock")
    assert found.path == "/run/user/1000/docker.sock"
    assert found.words == "unix:///run/user/1000/docker.sock (DOCKER_HOST)"


def test_the_current_context_is_followed(config: Path) -> None:
    context(config, "second", at("unix:///run/second.sock"))
    (config / "config.json").write_text('{"currentContext": "second"}')
    assert chosen(config) == Endpoint("/run/second.sock", "the Docker context second")


def test_docker_host_goes_before_docker_context_and_that_before_the_current_one(
    config: Path,
) -> None:
    context(config, "second", at("unix:///run/second.sock"))
    context(config, "third", at("unix:///run/third.sock"))
    (config / "config.json").write_text('{"currentContext": "second"}')
    assert chosen(config, DOCKER_CONTEXT="third").path == "/run/third.sock"
    assert chosen(config, DOCKER_CONTEXT="default") == Endpoint(STANDARD)
    both = chosen(config, DOCKER_CONTEXT="third", DOCKER_HOST="unix:///run/fourth.sock")
    assert both.path == "/run/fourth.sock"


def test_the_configuration_is_in_the_home_directory_by_default(tmp_path: Path) -> None:
    config = tmp_path / ".docker"
    context(config, "second", at("unix:///run/second.sock"))
    (config / "config.json").write_text('{"currentContext": "second"}')
    assert endpoint.choose({"HOME": str(tmp_path)}).path == "/run/second.sock"


def test_a_context_without_an_address_is_dockers_own_socket(config: Path) -> None:
    context(config, "plain", at(""))
    assert chosen(config, DOCKER_CONTEXT="plain").path == STANDARD


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:2375", "ssh://root@example", "npipe:////x"])
def test_what_is_remote_is_refused_with_who_named_it(config: Path, address: str) -> None:
    context(config, "far", at(address))
    with pytest.raises(DockerUnavailable, match=f"DOCKER_HOST={address} is remote"):
        chosen(config, DOCKER_HOST=address)
    with pytest.raises(DockerUnavailable, match=r"the Docker context far .*is remote") as caught:
        chosen(config, DOCKER_CONTEXT="far")
    assert address in caught.value.message
    assert caught.value.advice


def test_a_context_that_is_absent_is_told_with_its_file_and_who_named_it(config: Path) -> None:
    with pytest.raises(DockerUnavailable, match="no Docker context gone, which DOCKER_CONTEXT"):
        chosen(config, DOCKER_CONTEXT="gone")
    (config / "config.json").write_text('{"currentContext": "gone"}')
    with pytest.raises(DockerUnavailable, match=r"currentContext in .*config\.json names: .*meta"):
        chosen(config)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ({}, "no Endpoints.docker.Host"),
        ({"Endpoints": 3}, "no Endpoints.docker.Host"),
        (at(7), "no Endpoints.docker.Host"),
        (at("unix://relative.sock"), "no absolute path"),
    ],
)
def test_a_context_that_is_malformed_is_told(config: Path, document: object, told: str) -> None:
    context(config, "odd", document)
    with pytest.raises(DockerUnavailable, match=told):
        chosen(config, DOCKER_CONTEXT="odd")


@pytest.mark.parametrize(
    ("text", "told"), [("{", "not JSON"), ('{"currentContext": 3}', "no text")]
)
def test_a_configuration_that_is_malformed_is_told(config: Path, text: str, told: str) -> None:
    (config / "config.json").write_text(text)
    with pytest.raises(DockerUnavailable, match=rf"config\.json: .*{told}"):
        chosen(config)


def test_it_answers_without_any_package_installed(config: Path) -> None:
    def asked(address: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", "-m", "cgbench.engine.endpoint"],
            env={"PATH": os.environ["PATH"], "DOCKER_HOST": address, "HOME": str(config)},
            cwd=Path(endpoint.__file__).parents[2], capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert asked("unix:///run/x.sock").stdout == "/run/x.sock\n"
    refused = asked("tcp://127.0.0.1:2375")
    assert refused.returncode == 2
    assert "is remote" in refused.stderr
