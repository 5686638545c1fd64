"""Hosts of the lab as data: what is shipped, and what is refused."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.lab import host as hosts
from tests.lab.host import LabError, LabHost, Pin


@pytest.mark.parametrize("name", hosts.names())
def test_a_host_that_is_shipped_can_be_loaded(name: str) -> None:
    host = hosts.load(name)
    assert host.name == name
    assert host.suite in ("bookworm", "trixie", "forky")


def test_the_default_one_comes_first_and_is_changed_by_nothing() -> None:
    assert hosts.names()[0] == "trixie"
    assert hosts.load("trixie").commands == ()
    assert not hosts.load("trixie").is_changed


def test_each_of_two_nodes_has_a_cpu_and_half_of_the_memory() -> None:
    assert hosts.load("trixie").nodes_given == ("-smp", "2,sockets=1", "-m", "3072")
    found = " ".join(hosts.load("trixie-nodes").nodes_given)
    assert found.startswith("-smp 2,sockets=2 -m 3072 -object memory-backend-ram,id=node0,size=")
    assert "-numa node,nodeid=1,cpus=1,memdev=node1" in found


def test_a_late_cpu_is_switched_on_before_its_daemon_starts_anew() -> None:
    host = hosts.load("bookworm")
    assert host.parameters.endswith(" maxcpus=1")
    first, *_, last = host.commands
    assert first == "echo 1 >/sys/devices/system/cpu/cpu1/online"
    assert last == "systemctl restart docker"
    assert "maxcpus" not in hosts.load("trixie").parameters


def test_what_a_host_changes_is_done_before_its_daemon_starts_anew(tmp_path: Path) -> None:
    host = LabHost(
        name="one", title="One", suite="trixie", python="3.13",
        daemon={"exec-opts": ["native.cgroupdriver=cgroupfs"]},
        pins=(Pin(suite="forky", package="runc", version="1.3.6+ds1-1"),),
    )  # fmt: skip
    first, second, last = host.commands
    assert first.startswith("dpkg --install")
    assert last == "systemctl restart docker"
    # What a shell makes of it is what was asked for.
    written = tmp_path / "daemon.json"
    shell = second.replace("/etc/docker/daemon.json", shlex.quote(str(written)))
    subprocess.run(["sh", "-c", shell.replace("/etc/docker", str(tmp_path))], check=True)
    assert json.loads(written.read_text()) == host.daemon
    assert host.pins[0].wanted == "runc=1.3.6+ds1-1"
    assert Pin(suite="forky", package="runc").wanted == "runc"


def test_an_unknown_host_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="did you mean trixie"):
        hosts.load("trixi")
    with pytest.raises(LabError, match="known: "):
        hosts.load("none", tmp_path)


GOOD = 'title = "One"\nsuite = "trixie"\npython = "3.13"\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("title = ", "Invalid value"),
        ('title = "One"\npython = "3.13"', "suite"),
        (GOOD.replace("3.13", "3"), "python"),
        (GOOD + "speed = 1", "speed"),
        (GOOD + "nodes = 3", "nodes"),
        (GOOD + '[[pins]]\nsuite = "x"\npackage = "a; rm"', "pins.0.package"),
        (GOOD + '[[pins]]\nsuite = "x"\npackage = "ab"\nversion = "1 2"', "pins.0.version"),
        (GOOD + '[daemon]\nlabel = "it\'s"', "no ' can be written"),
        (GOOD + 'engine = "containerd"', "engine"),
        (GOOD + 'engine = "podman"\n[daemon]\nlabel = "x"', "podman reads none"),
    ],
)
def test_a_malformed_host_is_refused_with_its_file(
    tmp_path: Path, text: str, complaint: str
) -> None:
    (tmp_path / "one.toml").write_text(text)
    with pytest.raises(LabError) as caught:
        hosts.load("one", tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'one.toml'}: ")
    assert complaint in str(caught.value)
