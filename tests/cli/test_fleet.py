"""`cgbench fleet`: what is wrong with a call is one line, and no host is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cgbench.records.fleet import FleetFolder, FleetRecord, Member, State
from cgbench.records.verdict import Outcome
from tests.made import atlas_rows
from tests.made.command import cgbench

HOSTS = '[[hosts]]\nname = "a"\naddress = "127.0.0.1"\nport = 1\ntags = ["web"]\n'


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.toml"
    path.write_text(HOSTS)
    return path


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ((), (), "give either a command or --resume FLEET"),
        (("--resume", "x"), ("verify",), "give either a command or --resume FLEET"),
        ((), ("watch",), "a fleet has no command watch"),
        ((), ("verify", "--json", "x"), "where a host writes is the fleet's to say"),
        (("--tag", "db"), ("verify",), "no host has the tag db"),
        (("--host", "b"), ("verify",), "no host is called b"),
        (("--resume", "x"), (), "no fleet is called x"),
        ((), ("clean", "x"), "no fleet is called x"),
        ((), ("report", "x", "y"), "report takes one fleet"),
        ((), ("run", "no-such.toml"), "no-such.toml"),
        ((), ("gate", "cpu-quota-sweep"), "is judged against a --baseline"),
        (("--baseline", "x"), ("audit",), "is judged against a --baseline"),
        (("--baseline", "x"), ("gate", "cpu-quota-sweep"), "no fleet is called x"),
    ],
)
def test_a_slip_is_one_line(
    before: tuple[str, ...], after: tuple[str, ...], said: str, hosts: Path, tmp_path: Path
) -> None:
    results = ("--results", str(tmp_path / "results"))
    done = cgbench("fleet", *results, *before, hosts, *after)
    assert done.returncode == 2
    assert said in done.stderr
    assert "unexpected error" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_host_that_is_not_reached_is_told_and_ends_with_2(hosts: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    done = cgbench("fleet", "--results", results, "--json", "-", hosts, "audit")
    assert done.returncode == 2
    found = json.loads(done.stdout)
    assert found["exit_status"] == 2
    (member,) = found["members"]
    assert member["state"] == "unreachable"
    assert "ssh does not reach 127.0.0.1" in member["reason"]


def test_a_fleet_that_was_measured_is_reported_again(hosts: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    name = "20261127T101530Z-abcd"
    folder = FleetFolder(results / "fleet" / name)
    folder.write(FleetRecord(
        name=name, cgbench="1", started="2026-11-27T10:15:30+00:00", command="verify",
        arguments=(), members=(Member(name="a", state=State.DONE, status=0),),
    ))  # fmt: skip
    table = atlas_rows.table({"cpus": Outcome.EFFECTIVE}).to_json()
    folder.keep("a", json.dumps(table), b"")
    done = cgbench("fleet", "--results", results, hosts, "report")
    assert done.returncode == 0, done.stderr
    assert "1 host measured: too few to say" in done.stdout
    assert (folder.path / "report.html").exists()
