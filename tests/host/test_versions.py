"""How cgroup v1 and v2 differ is known to two modules only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import cgbench

KNOW = {"options", "cgroupfs"}
MODULES = sorted(Path(cgbench.__file__).parent.rglob("*.py"))
# Facts about a host, told as they are; nothing depends on them. The daemon's version is Docker's.
TOLD = {'Literal["v1", "v2", "hybrid"]', "self.version"}


def _asked(source: str) -> list[str]:
    """Return every expression that asks for a cgroup version or names one, outside docstrings."""
    found = []
    for node in ast.walk(ast.parse(source)):
        text = ast.unparse(node) if isinstance(node, ast.expr) else ""
        attribute = node.attr if isinstance(node, ast.Attribute) else ""
        if attribute in ("version", "interface", "v1", "v2", "v1_also") and "_api" not in text:
            found.append(text)
        if isinstance(node, ast.Constant) and node.value in ("v1", "v2", "hybrid"):
            found.append(text)
    return found


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.stem not in KNOW], ids=lambda path: path.stem
)
def test_a_module_asks_for_no_cgroup_version(path: Path) -> None:
    source = path.read_text()
    for told in TOLD:
        source = source.replace(told, "str")
    assert _asked(source) == []


def test_the_two_modules_that_know_are_found_out() -> None:
    for path in MODULES:
        if path.stem in KNOW:
            assert _asked(path.read_text()), path
    assert _asked('if layout() == "v2": pass') == ["'v2'"]
    assert _asked("group.version('cpu')") == ["group.version"]
