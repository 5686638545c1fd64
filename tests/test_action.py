"""action.yml: every input it uses is declared, and every option its script uses exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.made.command import cgbench

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "action.yml").read_text()
ACTION: dict[str, Any] = yaml.safe_load(TEXT)
SCRIPT = (ROOT / ".github" / "gate.sh").read_text()
HOW_TO = (ROOT / "docs" / "how-to" / "gate-in-ci.md").read_text()
SNIPPET = re.search(r"uses: OWNER/cgbench.*?```", HOW_TO, re.DOTALL)


def with_keys(text: str) -> set[str]:
    """Return the inputs that a workflow's text gives to the action."""
    return set(re.findall(r"^ {10}([a-z-]+):", text, re.MULTILINE))


def options_of(*command: str) -> set[str]:
    helped = cgbench(*command, "--help", environment={"COLUMNS": "200", "NO_COLOR": "1"})
    assert helped.returncode == 0, helped.stdout + helped.stderr
    return set(re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)", helped.stdout))


def test_inputs_are_used_where_they_are_declared_and_nowhere_else() -> None:
    assert set(re.findall(r"inputs\.([a-z-]+)", TEXT)) == set(ACTION["inputs"])
    assert all(one["description"] for one in ACTION["inputs"].values())
    assert [name for name, one in ACTION["inputs"].items() if one.get("required")] == [
        "experiments"
    ]


def test_the_script_reads_every_variable_that_the_action_sets() -> None:
    (step,) = [one for one in ACTION["runs"]["steps"] if one.get("id") == "gate"]
    read = set(re.findall(r"\$\{?(CGBENCH_[A-Z]+)", SCRIPT))
    assert set(step["env"]) | {"CGBENCH_PROGRAM", "CGBENCH_CACHE"} == read
    assert step["env"]["CGBENCH_OUTPUT"] == ACTION["runs"]["steps"][-1]["with"]["path"]
    assert "gate.sh" in step["run"]
    assert (ROOT / ".github" / "gate.sh").stat().st_mode & 0o111


def test_no_step_puts_an_input_into_a_shell_command() -> None:
    # Whoever may start a job could otherwise run anything in it.
    assert all("inputs." not in one.get("run", "") for one in ACTION["runs"]["steps"])


def test_examples_give_declared_inputs_only() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/gate-example.yml").read_text())
    (step,) = [one for one in workflow["jobs"]["gate"]["steps"] if one["uses"] == "./"]
    assert SNIPPET is not None
    for given in (set(step["with"]), with_keys(SNIPPET[0])):
        assert "experiments" in given
        assert given <= set(ACTION["inputs"])


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (("gate",), ("--baseline", "--allow", "--quick", "--results", "--budget", "--effect",
                     "--junit", "--markdown", "--json", "-o")),
        (("baseline", "set"), ("--name", "--results")),
        (("run",), ("--quick", "--trials", "--results")),
        (("show",), ("--json",)),
    ],
)  # fmt: skip
def test_the_options_of_the_script_exist(
    command: tuple[str, ...], options: tuple[str, ...]
) -> None:
    assert set(options) <= options_of(*command)
    assert all(re.search(rf"(?<![\w-]){option}(?![\w-])", SCRIPT) for option in options)


def test_no_other_option_of_cgbench_is_in_the_script() -> None:
    known = set().union(*(options_of(*one) for one in
                          (("gate",), ("baseline", "set"), ("run",), ("show",))))  # fmt: skip
    calls = re.findall(r'"\$program" (?:.*\\\n)*.*|arguments\+?=\(.*\)|quick=\(.*\)', SCRIPT)
    assert len(calls) >= 6
    used = set(re.findall(r"(?<=[ (])(--?[a-z][a-z-]*)(?=[ )])", "\n".join(calls)))
    assert {"--budget", "--allow", "--quick", "--name"} <= used
    assert used - {"-n", "-f", "-p", "-d"} <= known


WORKFLOWS = [ROOT / "action.yml", *sorted((ROOT / ".github" / "workflows").glob("*.yml"))]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_of_others_are_pinned_by_commit(path: Path) -> None:
    """Second rank (5): a tag moves, and what it moves to runs beside root."""
    used = re.findall(r"uses: (\S+)(.*)", path.read_text())
    for name, comment in used:
        assert name == "./" or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name), name
        assert name == "./" or re.fullmatch(r" # v\d+\.\d+\.\d+", comment), name


def test_examples_name_commits_and_no_branch() -> None:
    named = re.findall(r"uses: \S+@(\S+)", HOW_TO)
    assert named
    assert all(one == "COMMIT" or re.fullmatch(r"[0-9a-f]{40}", one) for one in named)
    assert "git clone" not in HOW_TO


def test_root_is_handed_only_the_variables_that_are_used() -> None:
    """Second rank (5): every GITHUB_* was handed on, a job's token among them."""
    handed = set(
        re.findall(r"[A-Z_]{6,}", "".join(re.findall(r"^handed_on\+?=(.*)$", SCRIPT, re.M)))
    )
    (step,) = [one for one in ACTION["runs"]["steps"] if one.get("id") == "gate"]
    github = {"GITHUB_ACTIONS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"}
    assert handed == set(step["env"]) | github | {"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"}
    assert set(re.findall(r"GITHUB_[A-Z_]+", SCRIPT)) == github


def test_the_step_is_the_script_so_that_cancelling_signals_it() -> None:
    (step,) = [one for one in ACTION["runs"]["steps"] if one.get("id") == "gate"]
    assert step["run"].strip().splitlines()[-1].startswith("exec bash ")
