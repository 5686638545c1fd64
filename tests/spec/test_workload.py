"""Workload files: those that come along, and good, absent and malformed ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench.errors import WorkloadError
from cgbench.spec import workload
from cgbench.spec.program import PROBER
from cgbench.spec.workload import Placeholders, Workload

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
    assert busy.argv(Placeholders(3, probe="/probe")) == ["busy", "--workers", "3", "/probe"]


def test_only_whole_words_are_placeholders(tmp_path: Path) -> None:
    busy = load(tmp_path, GOOD.replace('"busy", "--', '"{workers}x", "--'))
    assert busy.argv(Placeholders(3, probe="/probe"))[0] == "{workers}x"


@pytest.mark.parametrize("name", ["device", "scratch", "probe"])
def test_a_command_that_needs_what_the_container_has_not_is_refused(
    tmp_path: Path, name: str
) -> None:
    busy = load(tmp_path, GOOD.replace("{probe}", f"{{{name}}}"))
    assert busy.needs(name)
    with pytest.raises(WorkloadError, match=f"workload busy needs a {name}, and has none"):
        busy.argv(Placeholders(3))
    paths = {name: "/x"}
    assert busy.argv(Placeholders(3, **paths))[-1] == "/x"


def test_a_workload_has_a_probe_only_where_it_says_which_kind(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).probe is None
    assert load(tmp_path, f'{GOOD}probe = "wake"').probe == "wake"


@pytest.mark.parametrize("name", workload.names(workload.directory()))
def test_a_workload_that_runs_the_probe_says_so_and_no_other(name: str) -> None:
    one = workload.load(name)
    runs_it = "/opt/cgbench/probe.py" in one.command
    assert (one.probe is not None) == runs_it
    # What a prober notes is of the program that it drives.
    assert one.needs("probe") == (runs_it or name == PROBER)
    assert one.probe != "cache" or one.needs("scratch") != one.needs("shared")


@pytest.mark.parametrize("name", workload.names(workload.directory()))
def test_no_workload_asks_for_a_share_of_the_host(name: str) -> None:
    assert not any("%" in word for word in workload.load(name).command)


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
        ("controller", "probe = true\ncontroller", "probe"),
        ("controller", 'probe = "spim"\ncontroller', "probe"),
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
