"""A fleet from its hosts to its standing, on workers that replay a truth table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cgbench.commands import enlisting, fleet, fleet_report
from cgbench.errors import ExperimentError, FleetError, StoreError
from cgbench.fleet import crew, task
from cgbench.records import baseline
from cgbench.records.fleet import FleetFolder, Member, State
from cgbench.records.verdict import Outcome
from cgbench.spec.host_list import FleetHost
from tests.made import atlas_rows, short_experiment
from tests.made.fleet import altered, names, served
from tests.made.run_builder import MadeUp, build

NUMBER = 8
TABLE = atlas_rows.table(
    dict.fromkeys(("cpus", "cpu-quota", "cpuset-cpus"), Outcome.EFFECTIVE)
).to_json()


def host(name: str) -> FleetHost:
    absent: dict[str, Any] = dict.fromkeys(
        ("address", "port", "user", "key", "known_hosts", "python")
    )
    return FleetHost.model_validate({"name": name, "tags": ("web",), **absent})


*_FIT, FULL = names(NUMBER)
"""The last host's disk is full."""
HOSTS = tuple(map(host, _FIT))


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with served(TABLE, NUMBER, 0.2, [FULL]) as address:
        yield address


def quietly(_host: str, _line: str) -> None:
    return None


def test_every_host_is_measured_and_the_unlike_ones_are_named(
    scheduler: str, tmp_path: Path
) -> None:
    wanted = fleet.wanted(HOSTS, "verify", ("--quick",), scheduler)
    folder = fleet.begun(wanted, tmp_path)
    record = fleet.measure(folder, wanted, quietly)
    assert {one.state for one in record.members} == {State.DONE}
    found = fleet_report.judged(folder)
    assert set(found.standing.outliers) == set(altered(NUMBER))
    assert found.worst == 1
    page = fleet_report.write_page(found, tmp_path / "report.html").read_text()
    assert all(one.name in page for one in HOSTS)
    assert found.to_json()["exit_status"] == 1


def test_a_host_that_the_scheduler_does_not_have_is_told_and_the_rest_goes_on(
    scheduler: str, tmp_path: Path
) -> None:
    wanted = fleet.wanted((*HOSTS[:2], host("gone")), "verify", (), scheduler)
    folder = fleet.begun(wanted, tmp_path)
    record = fleet.measure(folder, wanted, quietly)
    assert [one.state for one in record.members] == [State.DONE, State.DONE, State.UNREACHABLE]
    assert "no worker that is called gone" in (record.member("gone").reason or "")
    assert fleet_report.judged(folder).worst == 2


def test_only_hosts_without_a_finished_row_are_measured_again(
    scheduler: str, tmp_path: Path
) -> None:
    wanted = fleet.wanted(HOSTS[:3], "verify", (), scheduler)
    folder = fleet.begun(wanted, tmp_path)
    record = fleet.measure(folder, wanted, quietly)
    lost = Member(name=HOSTS[1].name, state=State.LOST, reason="its line was lost")
    folder.write(record.with_member(lost))
    before = folder.document(HOSTS[0].name).stat().st_mtime_ns
    again = fleet.resumed(folder, HOSTS, scheduler)
    assert [one.name for one in again.hosts] == [HOSTS[1].name]
    assert fleet.measure(folder, again, quietly).member(HOSTS[1].name).state is State.DONE
    assert folder.document(HOSTS[0].name).stat().st_mtime_ns == before


def test_a_fleet_is_not_resumed_without_its_hosts_or_by_another_version(
    scheduler: str, tmp_path: Path
) -> None:
    folder = fleet.begun(fleet.wanted(HOSTS[:2], "verify", (), scheduler), tmp_path)
    with pytest.raises(FleetError, match="not in the file of hosts"):
        fleet.resumed(folder, HOSTS[:1], scheduler)
    folder.write(folder.read().model_copy(update={"cgbench": "0.0"}))
    with pytest.raises(FleetError, match=r"begun by cgbench 0\.0"):
        fleet.resumed(folder, HOSTS, scheduler)


def test_a_document_that_makes_no_sense_is_no_verdict(scheduler: str, tmp_path: Path) -> None:
    wanted = fleet.wanted(HOSTS[:3], "verify", (), scheduler)
    folder = fleet.begun(wanted, tmp_path)
    fleet.measure(folder, wanted, quietly)
    folder.document(HOSTS[0].name).write_text('{"schema_version": 2}')
    found = fleet_report.judged(folder)
    assert found.record.member(HOSTS[0].name).state is State.FAILED
    assert HOSTS[0].name not in found.tables
    assert found.worst == 2


def test_a_host_whose_disk_is_full_fails_alone(scheduler: str, tmp_path: Path) -> None:
    wanted = fleet.wanted((HOSTS[0], host(FULL)), "verify", (), scheduler)
    record = fleet.measure(fleet.begun(wanted, tmp_path), wanted, quietly)
    assert [one.state for one in record.members] == [State.DONE, State.FAILED]
    assert "No space left on device" in (record.members[1].reason or "")


def test_a_host_that_gave_its_result_and_cannot_forget_it_is_done(
    scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A function that raises on the name of a fleet, as a lost line would.
    monkeypatch.setattr(task, "forgotten", json.loads)
    wanted = fleet.wanted(HOSTS[:2], "verify", (), scheduler)
    record = fleet.measure(fleet.begun(wanted, tmp_path), wanted, quietly)
    assert [one.state for one in record.members] == [State.DONE, State.DONE]


def test_where_the_fleets_own_disk_is_full_nothing_is_forgotten(
    scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = fleet.wanted(HOSTS[:1], "verify", (), scheduler)
    folder = fleet.begun(wanted, tmp_path)

    def full(*_: object) -> None:
        raise StoreError("no space left")

    monkeypatch.setattr(folder, "write", full)
    with pytest.raises(StoreError, match="no space left"):
        fleet.measure(folder, wanted, quietly)


def test_a_scheduler_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "_ANSWERS_S", 1)
    wanted = fleet.wanted(HOSTS[:1], "verify", (), "tcp://127.0.0.1:1")
    with pytest.raises(FleetError, match=r"no scheduler answers at tcp://127\.0\.0\.1:1"):
        fleet.measure(fleet.begun(wanted, tmp_path), wanted, quietly)


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        ("watch", (), "a fleet has no command watch"),
        ("verify", ("--json", "x"), "where a host writes is the fleet's to say"),
        ("verify", ("--results=x",), "where a host writes is the fleet's to say"),
        ("run", ("--quick",), "run: no experiment is named"),
        ("gate", ("--quick",), "gate: no experiment is named"),
        ("gate", ("cpu-quota-sweep", "--baseline", "x"), "where a host writes is the fleet's"),
    ],
)
def test_what_a_fleet_cannot_do_is_refused_before_any_host_is_asked(
    command: str, arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(FleetError, match=said):
        fleet.wanted(HOSTS, command, arguments)


def test_an_experiment_of_ones_own_is_carried_to_the_hosts(tmp_path: Path) -> None:
    path = short_experiment.write(tmp_path)
    wanted = fleet.wanted(HOSTS, "run", (str(path), "--quick"))
    assert wanted.arguments == ("./short.toml", "--quick")
    assert wanted.files == {"short.toml": path.read_text()}
    folder = fleet.begun(wanted, tmp_path / "results")
    assert fleet.resumed(folder, HOSTS, None).files == wanted.files
    with pytest.raises(FleetError, match="two experiments' files"):
        fleet.wanted(HOSTS, "run", (str(path), str(path)))
    path.write_text("name = 3")
    with pytest.raises(ExperimentError):
        fleet.wanted(HOSTS, "run", (str(path),))


def test_each_host_of_a_gate_gets_the_baseline_that_its_own_run_makes(
    scheduler: str, tmp_path: Path
) -> None:
    ran = FleetFolder(tmp_path / "fleet" / "20261127T101530Z-abcd")
    build(ran.path / "hosts" / HOSTS[0].name / "results", MadeUp(trials=5))
    asked = fleet.wanted(HOSTS[:2], "gate", ("cpu-quota-sweep", "--quick"), scheduler)
    wanted = fleet.with_baselines(asked, ran)
    assert list(wanted.own_files) == [HOSTS[0].name]
    text = wanted.own_files[HOSTS[0].name]["baseline.json"]
    (tmp_path / "cpu-quota-sweep.json").write_text(text)
    assert len(baseline.read(tmp_path / "cpu-quota-sweep.json").repetitions) == 5
    folder = fleet.begun(wanted, tmp_path)
    record = fleet.measure(folder, wanted, quietly)
    # The other one has nothing to be judged against, which is said before it is asked.
    assert record.members[1].state is State.REFUSED
    assert "it has no baseline" in (record.members[1].reason or "")
    assert fleet.resumed(folder, HOSTS, scheduler).own_files == {}


def test_a_gate_without_any_baseline_is_refused(tmp_path: Path) -> None:
    asked = fleet.wanted(HOSTS, "gate", ("cpu-quota-sweep",))
    with pytest.raises(FleetError, match="has no run of cpu-quota-sweep"):
        fleet.with_baselines(asked, FleetFolder(tmp_path))


@pytest.mark.parametrize("words", [("--wait", "10m"), ("--wait=10m",)])
def test_a_command_that_waits_is_not_kept_from_a_busy_host(words: tuple[str, ...]) -> None:
    other = {"name": "another cgbench", "status": "note", "text": "process 1 is measuring"}
    said: task.Examined = {
        "version": "1", "said": "", "doctor": json.dumps({"host": None, "findings": [other]}),
    }  # fmt: skip
    waits = fleet.wanted(HOSTS, "verify", words).waits
    assert enlisting._bad(said, "verify", waits=waits)[0] == {}
    assert "another cgbench" in enlisting._bad(said, "verify", waits=False)[0]
    assert enlisting._bad(said, "audit", waits=False)[0] == {}


def test_values_of_options_are_no_experiments(tmp_path: Path) -> None:
    words = ("--budget", "90s", "cpu-quota-sweep", "--effect", "5")
    asked = fleet.wanted(HOSTS, "gate", words)
    assert asked.arguments == words
    with pytest.raises(FleetError, match="has no run of cpu-quota-sweep"):
        fleet.with_baselines(asked, FleetFolder(tmp_path))
    two = fleet.wanted(HOSTS, "gate", ("cpu-quota-sweep", "cpus-sweep"))
    with pytest.raises(FleetError, match="have no common baseline"):
        fleet.with_baselines(two, FleetFolder(tmp_path))
    with pytest.raises(ExperimentError, match="unknown experiment: cpu-quota-swep") as slip:
        fleet.wanted(HOSTS, "run", ("cpu-quota-swep",))
    assert "Did you mean cpu-quota-sweep?" in str(slip.value)
