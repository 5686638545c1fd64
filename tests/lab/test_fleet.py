"""A fleet of this host and two of the lab: carried, measured at once, and one of them killed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cgbench.engine import image
from cgbench.records import atlas
from cgbench.records.fleet import FleetFolder, find
from cgbench.records.verdict import Outcome
from cgbench.spec import workload
from tests.lab import host as hosts
from tests.lab.guests import beside
from tests.lab.machine import Machine
from tests.made import command, ssh

# Two boots, their disks, and an emulated CPU that measures.
pytestmark = [pytest.mark.lab, pytest.mark.fleet, pytest.mark.timeout(4800)]

GUESTS = ("trixie", "bookworm")
LOST_WITHIN_S = 60.0
_BEGUN_S = 900.0
ROWS = Path(__file__).parents[2] / "results" / "atlas"


@pytest.fixture(scope="module")
def guests() -> Iterator[dict[str, Machine]]:
    with ExitStack() as stack:
        found = {}
        for name in GUESTS:
            found[name] = beside(hosts.load(name))
            stack.callback(found[name].stop)
        yield found


@pytest.fixture(scope="module")
def listed(guests: dict[str, Machine], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file of the three hosts; to the guests cgbench is carried."""
    folder = tmp_path_factory.mktemp("fleet")
    with ssh.served(folder) as here:
        entries = [here.entry().model_dump(exclude_none=True)]
        for name, guest in guests.items():
            port = int((guest.state / "port").read_text())
            known = folder / f"known-{name}"
            key = (guest.disk / "host_key").read_text().split(maxsplit=1)[1]
            known.write_text(f"[127.0.0.1]:{port} {key}")
            entries.append({
                "name": name, "address": "127.0.0.1", "port": port, "user": "root",
                "key": str(guest.disk / "key"), "known_hosts": str(known),
            })  # fmt: skip
        path = folder / "hosts.toml"
        path.write_text("".join(map(_table, entries)))
        yield path


def _table(entry: dict[str, Any]) -> str:
    keys = (f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
    return "[[hosts]]\n" + "".join(keys)


def contradicts_no_row(folder: FleetFolder, name: str) -> None:
    """Ask that a guest's table says what its row of the atlas does, or leaves it open.

    Three hosts that share two CPUs disturb one another: a little may be open, nothing else.
    """
    row = atlas.read(ROWS / f"{name}.json").table
    usual = {one.verdict.option: one.verdict.verdict for one in row.rows}
    found = {one.verdict.option: one.verdict.verdict for one in folder.truth(name).rows}
    assert found.keys() == usual.keys()
    apart = {one: got for one, got in found.items() if got is not usual[one]}
    assert set(apart.values()) <= {Outcome.INCONCLUSIVE}, apart
    assert len(apart) <= len(found) // 3, apart


def test_three_hosts_are_measured_at_once_and_give_one_report(listed: Path, tmp_path: Path) -> None:
    with command.started("fleet", "--results", tmp_path, listed, "verify", "--quick") as process:
        # With what is carried to the guests, which share two CPUs with everything else.
        _out, said = process.communicate(timeout=3600)
    folder = find("fleet", tmp_path)
    record = folder.read()
    assert [(one.name, one.state) for one in record.members] == [
        ("here", "done"), *((name, "done") for name in GUESTS)
    ], said  # fmt: skip
    for one in record.members:
        assert one.host is not None
        # Each is itself, and its results came with it.
        assert folder.truth(one.name).host == one.host
        assert list((folder.path / "hosts" / one.name / "results").glob("*/*"))
    for name in GUESTS:
        contradicts_no_row(folder, name)
    assert len({one.host.kernel for one in record.members if one.host}) == 3
    assert (folder.path / "report.html").exists()


def test_a_host_gets_the_image_and_a_killed_guest_is_told_in_time_and_harms_no_other(
    listed: Path, guests: dict[str, Machine], tmp_path: Path
) -> None:
    victim, *others = GUESTS
    tag = image.tag(workload.directory())
    for name in others:
        # So that the image is carried, too.
        guests[name].read(f"docker rmi --force {tag}")
    with command.started(
        "fleet", "--results", tmp_path, listed, "verify", "cpus", "--quick"
    ) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        end = time.monotonic() + _BEGUN_S
        assert any(f"{victim}: running" in line for line in lines), "it was never at work"
        assert time.monotonic() < end
        guests[victim].stop()
        killed = time.monotonic()
        assert any(f"{victim}: lost" in line for line in lines), "it was not told"
        assert time.monotonic() - killed < LOST_WITHIN_S
        _out, said = process.communicate(timeout=1200)
    assert process.returncode == 2, said
    folder: FleetFolder = find("fleet", tmp_path)
    states = {one.name: one.state.value for one in folder.read().members}
    assert states == {"here": "done", victim: "lost", **dict.fromkeys(others, "done")}
    assert not folder.document(victim).exists()
    for name in others:
        assert guests[name].read(f"docker image inspect --format '{{{{.Id}}}}' {tag}")
    assert [row.verdict.option for row in folder.truth("here").rows] == ["cpus"]
