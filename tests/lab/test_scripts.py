"""The lab's scripts as far as they go without booting: their syntax, and what they import."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHELL = sorted(
    path
    for path in HERE.rglob("*")
    if path.is_file() and path.read_bytes().startswith((b"#!/usr/bin/env bash", b"#!/bin/sh"))
)
PYTHON = sorted(HERE.rglob("*.py"))
# In a shell script: a text that follows `-c`, or a document that a `python` reads.
_PYTHON_IN_SHELL = re.compile(
    r"python3?\"? (?:-[A-Za-z]* )*-c '([^']*)'|python3?\"? -[^\n]*<<'END'\n(.*?)\nEND\n", re.DOTALL
)


def code(path: Path) -> list[str]:
    """Return the Python code that a script runs."""
    text = path.read_text()
    if path.suffix == ".py":
        return [text]
    return [textwrap.dedent(short or long) for short, long in _PYTHON_IN_SHELL.findall(text)]


def test_the_scripts_are_found_and_so_is_the_code_in_them() -> None:
    assert [path.relative_to(HERE).as_posix() for path in SHELL] == [
        "build_disk", "fetch_packages", "guest/usr/local/bin/cgbench", "mirror",
        "pack",
    ]  # fmt: skip
    assert len(code(HERE / "pack")) == (HERE / "pack").read_text().count('"$python" - ')


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_a_shell_script_is_one(path: Path) -> None:
    done = subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", [*SHELL, *PYTHON], ids=lambda path: path.name)
def test_what_a_script_imports_is_there(path: Path) -> None:
    """`pack` imported a module that had moved, which only a boot of the lab would have shown."""
    for text in code(path):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                for name in node.names:
                    importlib.import_module(name.name)
            elif isinstance(node, ast.ImportFrom):
                assert node.module is not None
                module = importlib.import_module(node.module)
                for name in node.names:
                    if not hasattr(module, name.name):
                        importlib.import_module(f"{node.module}.{name.name}")


def test_an_image_that_docker_does_not_give_is_one_line(tmp_path: Path) -> None:
    (fetches,) = (text for text in code(HERE / "pack") if "get_image" in text)
    done = subprocess.run(
        [sys.executable, "-", "cgbench/workload:none"],
        input=fetches, capture_output=True, text=True, check=False,
        env={"DOCKER_HOST": f"unix://{tmp_path}/no.sock"},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pack: Docker did not give the image cgbench/workload:none")
    assert done.stderr.count("\n") == 1
