"""The tags of cgbench's own images, their names, and the way to one where a registry answers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cgbench.engine import image
from cgbench.errors import ImageError
from tests.made.images import Notes

WORKLOADS = Path(__file__).parents[2] / "workloads"
EXAMPLES = [name for name in image.names(WORKLOADS) if name != image.WORKLOAD]


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


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_file_of_an_example_goes_into_its_image_and_changes_its_tag(
    tmp_path: Path, name: str
) -> None:
    folder = shutil.copytree(WORKLOADS, tmp_path / "workloads")
    shutil.rmtree(folder / name / "__pycache__", ignore_errors=True)
    tags, files = {image.current(name, folder)}, sorted((folder / name).iterdir())
    for file in files:
        with file.open("a") as end:
            end.write("\n")
        tags.add(image.current(name, folder))
    assert len(tags) == 1 + len(files)
    assert all(image.is_ours(tag) and tag.startswith(f"cgbench/{name}:") for tag in tags)
    assert image.tag(folder) == image.tag(WORKLOADS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_has_the_base_and_the_user_of_the_workloads_and_says_what_it_runs(
    name: str,
) -> None:
    lines = (WORKLOADS / name / "Dockerfile").read_text().splitlines()
    ours = (WORKLOADS / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("FROM ")] == [
        line for line in ours if line.startswith("FROM ")
    ]
    assert "USER 65534:65534" in lines
    # Another command takes the place of the image's own; an entry point would stay before it.
    assert lines[-1].startswith('CMD ["')
    assert not any(line.startswith("ENTRYPOINT") for line in lines)


def test_names_are_those_of_folders_with_a_dockerfile_after_the_one_of_the_workloads(
    context: Path,
) -> None:
    assert image.names(context) == ["workload"]
    for name in ("web", "redis", "notes"):
        (context / name).mkdir()
    for name in ("web", "redis"):
        (context / name / "Dockerfile").write_text("FROM debian:bookworm-slim\n")
    assert image.names(context) == ["workload", "redis", "web"]
    assert image.context_of("workload", context) == context
    assert image.context_of("web", context) == context / "web"
    assert image.current("workload", context) == image.tag(context)
    assert (
        image.current("web", context).rpartition(":")[2]
        == (image.current("redis", context).rpartition(":")[2])
    )


def test_a_name_that_is_none_is_told_with_the_nearest() -> None:
    with pytest.raises(ImageError, match="cgbench has no image redi\n") as caught:
        image.context_of("redi", WORKLOADS)
    assert caught.value.advice == "Did you mean redis?"
    for name in ("", "..", "mysterious"):
        with pytest.raises(ImageError) as caught:
            image.context_of(name, WORKLOADS)
        assert (caught.value.advice or "").startswith("Known: workload, nginx, ")


def test_a_name_without_a_tag_stands_for_the_image_of_the_files_as_they_are() -> None:
    for name in image.names(WORKLOADS):
        built = image.current(name, WORKLOADS)
        assert image.resolved(Notes(built), f"cgbench/{name}", WORKLOADS) == built


@pytest.mark.parametrize(
    "reference",
    [
        "cgbench/redis:0123456789ab",
        "cgbench/redis:latest",
        "redis",
        "redis:7",
        "x.org/cgbench/redis",
    ],
)
def test_any_other_reference_stays_what_it_is_and_nobody_is_asked(reference: str) -> None:
    assert image.resolved(Notes(), reference, WORKLOADS) == reference


def test_an_image_that_is_not_built_or_not_ours_to_build_is_told_with_the_next_move() -> None:
    with pytest.raises(ImageError, match=r"the image cgbench/redis:[0-9a-f]{12} is missing") as no:
        image.resolved(Notes(), "cgbench/redis", WORKLOADS)
    assert no.value.advice == "Build it: cgbench image build redis."
    with pytest.raises(ImageError) as no:
        image.resolved(Notes(), "cgbench/workload", WORKLOADS)
    assert no.value.advice == "Build it: cgbench image build."
    with pytest.raises(ImageError, match="cgbench has no image ngimx") as no:
        image.resolved(Notes(), "cgbench/ngimx", WORKLOADS)
    assert no.value.advice == "Did you mean nginx?"
    assert image.missing("redis:7").advice == "Get it: docker pull redis:7."


@pytest.mark.parametrize(
    ("reference", "ours"),
    [
        ("cgbench/workload:0123456789ab", True),
        ("cgbench/redis:0123456789ab", True),
        ("cgbench/redis", False),
        ("cgbench/redis:latest", False),
        ("cgbench/redis:0123456789ab\n", False),
        ("cgbench/../redis:0123456789ab", False),
        ("example.org/cgbench/redis:0123456789ab", False),
    ],
)
def test_ours_is_what_a_tag_looks_like(reference: str, ours: bool) -> None:
    assert image.is_ours(reference) is ours


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


def test_an_example_is_built_from_its_own_folder_under_its_own_name() -> None:
    engine, folder = Notes("debian:bookworm-slim"), image.context_of("nginx", WORKLOADS)
    tag = image.build(engine, folder, print, "4711-5", "nginx")
    assert tag == image.current("nginx", WORKLOADS)
    assert engine.done == [f"build {tag}"]
