"""The image's tag, and the way to the image where a registry answers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cgbench.engine import image
from cgbench.errors import ImageError
from tests.made.images import Notes

WORKLOADS = Path(__file__).parents[2] / "workloads"


def test_the_tag_is_the_repository_and_twelve_digits_of_a_digest(context: Path) -> None:
    name, _, digest = image.tag(context).partition(":")
    assert name == "cgbench/workload"
    assert len(digest) == 12
    assert set(digest) <= set("0123456789abcdef")


@pytest.mark.parametrize("name", ["Dockerfile", "probe.py"])
def test_a_change_in_anything_that_goes_into_the_image_changes_the_tag(
    tmp_path: Path, name: str
) -> None:
    context = shutil.copytree(WORKLOADS, tmp_path / "workloads")
    before = image.tag(context)
    with (context / name).open("a") as file:
        file.write("\n")
    assert image.tag(context) != before


def test_a_new_workload_or_a_new_directory_does_not_change_the_tag(
    context: Path, tmp_path: Path
) -> None:
    before = image.tag(context)
    (context / "spin.toml").write_text("name = 'spin'\n")
    assert image.tag(context) == before
    assert image.tag(shutil.copytree(context, tmp_path / "elsewhere")) == before


def test_what_copy_lines_name_is_found_in_all_their_forms(context: Path) -> None:
    (context / "Dockerfile").write_text(
        "FROM debian:bookworm-slim AS first\n"
        "# COPY nothing.py /\n"
        "copy --chown=0:0 probe.py \\\n    more /opt/\n"
        "ADD *.txt /opt/\n"
        "COPY --from=first /etc/passwd /\n"
    )
    (context / "more/deep").mkdir(parents=True)
    names = ("probe.py", "more/one", "more/deep/two", "a.txt", "b.txt")
    for name in names:
        (context / name).write_text("")
    tags = {image.tag(context)}
    for name in names:
        (context / name).write_text(name)
        tags.add(image.tag(context))
    assert len(tags) == 1 + len(names)


def test_a_copied_file_that_is_missing_is_named(context: Path) -> None:
    (context / "probe.py").unlink()
    with pytest.raises(ImageError, match=r"Dockerfile copies probe\.py, which is not there"):
        image.tag(context)


def test_a_context_without_a_dockerfile_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"cannot read .*Dockerfile: No such file"):
        image.tag(tmp_path)


def test_an_image_that_exists_costs_one_question(context: Path) -> None:
    engine = Notes(image.tag(context))
    assert image.build(engine, context, print, "4711-5") == image.tag(context)
    assert engine.done == []


def test_a_base_that_exists_is_not_fetched_again(context: Path) -> None:
    engine = Notes("debian:bookworm-slim")
    tag = image.build(engine, context, print, "4711-5")
    assert engine.done == [f"build {tag}"]


def test_a_registry_that_answers_gives_the_base(context: Path) -> None:
    engine = Notes(registry=True)
    tag = image.build(engine, context, print, "4711-5")
    assert engine.done == ["pull debian:bookworm-slim", f"build {tag}"]
    assert image.build(engine, context, print, "4711-5") == tag
    assert len(engine.done) == 2
