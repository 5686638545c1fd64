"""Workload files: those that come along, and good, absent and malformed ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench import workload
from cgbench.errors import WorkloadError
from cgbench.workload import Workload

GOOD = """
name = "busy"
summary = "Keeps busy."
controller = "cpu"
command = ["busy", "--workers", "{workers}", "{probe}"]
"""


def load(folder: Path, text: str) -> Workload:
    (folder / "busy.toml").write_text(text)
    return workload.load("busy", folder)


@pytest.mark.parametrize("name", workload.names(workload.directory()))
def test_every_workload_that_comes_along_loads_under_its_own_name(name: str) -> None:
    assert workload.load(name).name == name


def test_the_workloads_stand_beside_the_dockerfile_of_their_image() -> None:
    assert (workload.directory() / "Dockerfile").is_file()
    assert "spin" in workload.names(workload.directory())


def test_the_placeholders_of_a_command_are_filled_in(tmp_path: Path) -> None:
    busy = load(tmp_path, GOOD)
    assert busy.argv(3, "/probe") == ["busy", "--workers", "3", "/probe"]


def test_only_whole_words_are_placeholders(tmp_path: Path) -> None:
    busy = load(tmp_path, GOOD.replace('"busy", "--', '"{workers}x", "--'))
    assert busy.argv(3, "/probe")[0] == "{workers}x"


def test_a_workload_has_a_probe_unless_it_says_otherwise(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).probe
    assert not load(tmp_path, f"{GOOD}probe = false").probe


def test_an_unknown_workload_names_the_nearest(tmp_path: Path) -> None:
    load(tmp_path, GOOD)
    with pytest.raises(WorkloadError, match="unknown workload: bussy") as caught:
        workload.load("bussy", tmp_path)
    assert caught.value.advice == "Did you mean busy?"


def test_a_workload_like_no_other_lists_those_there_are(tmp_path: Path) -> None:
    load(tmp_path, GOOD)
    with pytest.raises(WorkloadError) as caught:
        workload.load("xyz", tmp_path)
    assert caught.value.advice == "Known: busy."


def test_an_empty_folder_knows_none(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError) as caught:
        workload.load("busy", tmp_path)
    assert caught.value.advice == "Known: none."


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"busy"\n', "\n", "at line 2"),
        ("summary", "sumary", "summary"),
        ('name = "busy"', 'name = "Busy!"', "name"),
        ('name = "busy"', "name = 3", "name"),
        ('["busy", "--workers", "{workers}", "{probe}"]', "[]", "command"),
        ('["busy", "--workers", "{workers}", "{probe}"]', '"busy"', "command"),
        ('"Keeps busy."', '""', "summary"),
        ("controller", "threads = 3\ncontroller", "threads"),
    ],
)
def test_a_malformed_workload_names_its_file_and_the_key_or_line(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    assert old in GOOD
    with pytest.raises(WorkloadError) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert str(tmp_path / "busy.toml") in caught.value.message
    assert complaint in caught.value.message


def test_a_workload_that_is_not_text_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "busy.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WorkloadError, match=r"cannot read .*busy\.toml"):
        workload.load("busy", tmp_path)
