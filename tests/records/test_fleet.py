"""The folder of a fleet: its document, and what each host gave, which is not believed."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from cgbench.errors import StoreError
from cgbench.records import fleet
from cgbench.records.fleet import FleetFolder, FleetRecord, Member, State
from cgbench.records.verdict import Outcome
from tests.made import atlas_rows, sides

GOOD = {"cpus": Outcome.EFFECTIVE}


def record(*members: Member) -> FleetRecord:
    return FleetRecord(
        name="20261127T101530Z-abcd", cgbench="1.0", started="2026-11-27T10:15:30+00:00",
        command="verify", arguments=("--quick",), members=members,
    )  # fmt: skip


def packed(name: str, content: bytes = b"x", **more: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        for key, value in more.items():
            setattr(member, key, value)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    folder = FleetFolder(tmp_path)
    folder.write(made := record(Member(name="a", tags=("web",)), Member(name="b")))
    assert folder.read() == made
    assert made.with_member(Member(name="b", state=State.LOST)).member("b").state is State.LOST


def test_what_a_host_gave_is_kept_with_its_document_last(tmp_path: Path) -> None:
    folder = FleetFolder(tmp_path)
    text = json.dumps(atlas_rows.table(GOOD).to_json())
    folder.keep("a", text, packed("verify/one/truth.json", b"{}"))
    assert folder.truth("a").rows[0].verdict.option == "cpus"
    assert (tmp_path / "hosts" / "a" / "results" / "verify" / "one" / "truth.json").exists()


@pytest.mark.parametrize(
    "files",
    [
        packed("../../outside"),
        packed("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        packed("device", type=tarfile.CHRTYPE),
        b"no tar at all",
        packed("long", b"x" * 200)[:-40],
    ],
)
def test_what_a_host_packs_stays_in_its_folder(files: bytes, tmp_path: Path) -> None:
    folder = FleetFolder(tmp_path / "fleet")
    with pytest.raises(StoreError, match="a: its files cannot be unpacked"):
        folder.keep("a", "{}", files)
    assert not folder.document("a").exists()
    assert not (tmp_path / "outside").exists()


def test_a_path_from_the_root_is_one_from_its_folder(tmp_path: Path) -> None:
    folder = FleetFolder(tmp_path)
    folder.keep("a", "{}", packed(f"{tmp_path}/outside"))
    assert not (tmp_path / "outside").exists()


def test_a_document_that_is_no_table_is_named(tmp_path: Path) -> None:
    folder = FleetFolder(tmp_path)
    folder.keep("a", '{"schema_version": 1}', b"")
    with pytest.raises(StoreError, match="not a truth table"):
        folder.truth("a")
    with pytest.raises(StoreError, match="not an audit"):
        folder.audit("a")


def test_what_a_gate_found_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = FleetFolder(tmp_path)
    found = sides.mixed()
    folder.keep("a", json.dumps([found.to_json()]), b"")
    assert folder.comparisons("a") == [found]


@pytest.mark.parametrize("text", ["[3]", '["x"]', "null", "no JSON", '[{"experiment": "x"}]'])
def test_a_document_that_is_no_gates_is_named(text: str, tmp_path: Path) -> None:
    folder = FleetFolder(tmp_path)
    folder.keep("a", text, b"")
    with pytest.raises(StoreError, match="not a "):
        folder.comparisons("a")


def test_a_fleet_of_a_newer_cgbench_is_not_read(tmp_path: Path) -> None:
    folder = FleetFolder(tmp_path)
    folder.write(record(Member(name="a")).model_copy(update={"schema_version": 99}))
    with pytest.raises(StoreError, match="newer cgbench"):
        folder.read()


def test_a_damaged_document_is_named(tmp_path: Path) -> None:
    folder = FleetFolder(tmp_path)
    folder.file.write_text('{"schema_version": 1, "name": "x"}')
    with pytest.raises(StoreError, match="not a fleet"):
        folder.read()


def test_a_fleet_is_found_by_path_name_or_as_the_latest(tmp_path: Path) -> None:
    for name in ("20261127T101530Z-abcd", "20261127T111530Z-abcd"):
        FleetFolder(tmp_path / "fleet" / name).write(record(Member(name="a")))
    assert fleet.find("fleet", tmp_path).path.name == "20261127T111530Z-abcd"
    assert fleet.find("20261127T10", tmp_path).path.name == "20261127T101530Z-abcd"
    there = tmp_path / "fleet" / "20261127T101530Z-abcd"
    assert fleet.find(str(there), tmp_path).path == there
    with pytest.raises(StoreError, match="2 fleets are called 2026"):
        fleet.find("2026", tmp_path)
    with pytest.raises(StoreError, match="no fleet is called x"):
        fleet.find("x", tmp_path)
