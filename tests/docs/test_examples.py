"""What the manual shows to type exists: commands, their options, targets and files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cgbench.spec import experiment_file, program_file
from cgbench.spec.schedule import planned
from tests.docs.blocks import DOCS, ROOT, pages
from tests.docs.reference.commands import all_commands

PAGES = pages()
COMMANDS = {one.name: one for one in all_commands()}


def typed(page: str) -> list[str]:
    """Return the calls of cgbench in a page's blocks of shell input and output."""
    blocks = "\n".join(re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    joined = blocks.replace("\\\n", " ")
    return re.findall(r"^(?:[#$] )?(?:\.venv/bin/)?cgbench ([a-z].*)$", joined, re.MULTILINE)


def wrong(call: str) -> list[str]:
    """Return what of a call no command has."""
    words = call.partition(" > ")[0].partition("  # ")[0].split()
    name = next((one for one in (" ".join(words[:2]), words[0]) if one in COMMANDS), None)
    if name is None:
        return [words[0]]
    known = {flag for one in COMMANDS[name].parameters for flag in one.names}
    if name == "fleet" and (inner := call.partition("hosts.toml ")[2]):
        # What stands behind the file of hosts is a command of its own.
        own = inner.split()[0] in ("clean", "report")
        return wrong(call.removesuffix(inner).strip()) + ([] if own else wrong(inner))
    return [word for word in re.findall(r"(?<= )--?[a-z][a-z-]*", call) if word not in known]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_call_of_cgbench_can_be_typed(path: Path) -> None:
    # Output, such as the lines of a run, begins with the name of an experiment.
    for call in typed(path.read_text()):
        quoted = re.sub(r"'[^']*'", "x", call)
        assert wrong(quoted) == [], call


def test_a_wrong_call_is_found() -> None:
    assert wrong("run x --quik") == ["--quik"]
    assert wrong("rum x") == ["rum"]
    assert wrong("fleet --tga x hosts.toml verify --quik") == ["--tga", "--quik"]
    assert wrong("fleet --tag x hosts.toml verify --quick") == []
    assert wrong("baseline set x --name y") == []


def test_calls_are_found() -> None:
    assert sum(len(typed(path.read_text())) for path in PAGES) >= 12


def test_the_example_of_an_experiment_is_one() -> None:
    page = (DOCS / "how-to" / "own-experiment.md").read_text()
    (text,) = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    loaded = experiment_file.parse(text, "own-experiment.md")
    assert loaded.name == "my-sweep"
    assert len(planned(loaded, 2, seed=1)) == 2 * loaded.trials


@pytest.mark.parametrize(
    "path", sorted((DOCS / "examples").glob("*.md")), ids=lambda path: path.stem
)
def test_every_example_program_has_a_file_that_is_right_and_a_picture(
    path: Path, tmp_path: Path
) -> None:
    page = path.read_text()
    (text,) = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert f'image = "cgbench/{path.stem}"' in text
    assert f"../pictures/example-{path.stem}.png" in page
    assert f"image build {path.stem}\n" in page
    if "\n[[steps]]" in text:
        assert planned(experiment_file.parse(text, path.name), 2, seed=1)
    else:
        file = tmp_path / "program.toml"
        file.write_text(text)
        assert program_file.load(file)[1].load is not None


def test_there_is_a_page_for_every_example_program() -> None:
    built = {one.parent.name for one in (ROOT / "workloads").glob("*/Dockerfile")}
    assert {one.stem for one in (DOCS / "examples").glob("*.md")} == built


def test_every_target_of_make_exists() -> None:
    targets = re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for path in PAGES:
        for words in re.findall(r"`make ([a-z0-9 -]+)`", path.read_text()):
            assert set(words.split()) <= set(targets), f"{path}: make {words}"
