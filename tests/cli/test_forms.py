"""A form is printed, or written where it can be: that is looked at before anything is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench.cli import forms
from cgbench.cli.terminal import PRINTED
from cgbench.errors import OptionError, StoreError


def test_what_can_be_written_passes_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("old")
    forms.require(tmp_path / "new", tmp_path / "kept", PRINTED, tmp_path / "page.html")
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_text() == "old"


def test_two_forms_are_not_printed_one_into_the_other() -> None:
    with pytest.raises(OptionError, match="only one of --json, --junit and --markdown"):
        forms.require(PRINTED, None, PRINTED)


def test_a_page_is_not_printed() -> None:
    with pytest.raises(OptionError, match="--output -: a page is not printed"):
        forms.require(page=PRINTED)


def test_two_forms_are_not_written_over_each_other(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--json and --markdown both name"):
        forms.require(tmp_path / "x", tmp_path / "y", tmp_path / "x")


@pytest.mark.parametrize("form", ["json_file", "junit", "markdown", "page"])
def test_a_folder_that_is_not_there_is_named_and_not_made(form: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"there is no folder {tmp_path}/absent"):
        forms.require(**{form: tmp_path / "absent" / "x"})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_or_a_link_in_the_files_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    with pytest.raises(StoreError, match="it is no regular file"):
        forms.require(tmp_path / "folder")
    with pytest.raises(StoreError, match="it is a link"):
        forms.require(tmp_path / "link")


def test_what_nobody_may_write_to_is_named() -> None:
    with pytest.raises(StoreError, match="cannot write /proc/x"):
        forms.require(Path("/proc/x"))


def test_a_form_is_given_to_standard_output_only_where_that_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert not forms.give(lambda: "text\n", None)
    assert not forms.give(lambda: "text\n", tmp_path / "x")
    assert capsys.readouterr().out == ""
    assert forms.give(lambda: "text\n", PRINTED)
    assert capsys.readouterr().out == "text\n"
    assert forms.file_of(PRINTED) is None
    assert forms.file_of(tmp_path) == tmp_path
