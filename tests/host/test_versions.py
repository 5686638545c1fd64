"""How cgroup v1 and v2 differ is known to two modules only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import cgbench

PACKAGE = Path(cgbench.__file__).parent
MODULES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))
KNOW = {"spec/option.py", "host/cgroups.py"}
# Facts about a host, told as they are; nothing depends on them. The daemon's version is Docker's.
NAMES = ("version", "v1", "v2", "v1_also")
LAYOUTS = ("v1", "v2", "hybrid")
TOLD = {'Literal["v1", "v2", "hybrid"]', "self.version"}


def _asked(source: str) -> list[str]:
    """Return every expression that asks for a cgroup version or names one, outside docstrings."""
    if not any(word in source for word in (*NAMES, *LAYOUTS)):
        # Most modules; to parse one and walk through it takes a thousand times as long.
        return []
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            if node.attr not in NAMES:
                continue
            if "_api" not in (text := ast.unparse(node)):
                found.append(text)
        elif isinstance(node, ast.Constant) and node.value in LAYOUTS:
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("module", [name for name in MODULES if name not in KNOW])
def test_a_module_asks_for_no_cgroup_version(module: str) -> None:
    source = (PACKAGE / module).read_text()
    for told in TOLD:
        source = source.replace(told, "str")
    assert _asked(source) == []


def test_every_room_is_looked_into() -> None:
    assert len(MODULES) > 100
    assert {name.split("/")[0] for name in MODULES if "/" in name} >= {
        "spec", "records", "host", "engine", "measuring", "judging", "reporting", "commands", "cli"
    }  # fmt: skip


def test_the_modules_that_know_are_found_out() -> None:
    for name in KNOW:
        assert _asked((PACKAGE / name).read_text()), name
    assert _asked('if layout() == "v2": pass') == ["'v2'"]
    assert _asked("group.version('cpu')") == ["group.version"]
