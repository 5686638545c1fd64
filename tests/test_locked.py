"""The locked packages: whole, by hash, within the bounds of pyproject.toml, from no named host."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
SETUP = (ROOT / ".ci" / "setup").read_text()
PURPOSES = ("run", "dev", "docs", "audit")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _lock() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lock", ROOT / ".ci" / "lock.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["lock"] = module
    spec.loader.exec_module(module)
    return module


lock = _lock()
Target = lock.Target


def text(purpose: str) -> str:
    return (ROOT / ".ci" / "locked" / f"{purpose}.txt").read_text()


def entries(purpose: str) -> dict[str, str]:
    """Return the version of each package of a list."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;\\]+)", text(purpose), re.MULTILINE))


@pytest.mark.parametrize("purpose", PURPOSES)
def test_every_package_has_one_version_and_hashes(purpose: str) -> None:
    blocks = re.split(r"\n(?=[a-z])", text(purpose).partition("\n")[2])
    assert len(blocks) == len(entries(purpose))
    for block in blocks:
        head, *hashes = block.strip().split(" \\\n")
        assert re.match(r"^[a-z0-9-]+==[^\s;]+( ; .*)?$", head), head
        assert hashes
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", one) for one in hashes), head


@pytest.mark.parametrize("purpose", PURPOSES)
def test_what_pyproject_asks_for_is_locked_within_its_bounds(purpose: str) -> None:
    locked = entries(purpose)
    for line in lock.wanted(PROJECT, purpose):
        wanted = Requirement(line)
        assert wanted.specifier.contains(locked[lock.normal(wanted.name)]), line


@pytest.mark.parametrize("purpose", PURPOSES)
def test_no_list_names_a_host_or_an_option(purpose: str) -> None:
    assert "://" not in text(purpose)
    assert "index" not in text(purpose)
    assert "--find-links" not in text(purpose)


def test_all_lists_agree_on_a_package_that_they_share() -> None:
    one, other = entries("run"), entries("dev")
    assert {name: other.get(name) for name in one} == one


def test_set_up_installs_by_hash_and_nothing_else() -> None:
    """Supply chain: 13 packages without an upper bound were installed as root on each job."""
    assert SETUP.count("-m pip install") == 1
    assert '--no-deps "$@"' in SETUP
    calls = re.findall(r"^ +pip_install (.*)$", SETUP, re.MULTILINE)
    assert calls == [
        '--require-hashes --requirement "$locked/$what.txt"',
        "--no-build-isolation --editable .",
    ]


# How lists are made


def report(*packages: tuple[str, str, str]) -> dict[str, Any]:
    return {"install": [
        {"metadata": {"name": name, "version": version},
         "download_info": {"archive_info": {"hashes": {"sha256": digest}}}}
        for name, version, digest in packages
    ]}  # fmt: skip


OLD, NEW = Target("3.11", "x86_64"), Target("3.12", "x86_64")


def test_hashes_of_all_machines_come_together_and_a_rare_package_gets_a_marker() -> None:
    found = lock.merged({
        OLD: report(("Two_Words", "1.0", "b"), ("only-old", "2", "c")),
        NEW: report(("two.words", "1.0", "a")),
    })  # fmt: skip
    assert lock.text(found, (OLD, NEW)).splitlines()[1:] == [
        'only-old==2 ; (python_version == "3.11" and platform_machine == "x86_64") \\',
        "    --hash=sha256:c",
        "two-words==1.0 \\",
        "    --hash=sha256:a \\",
        "    --hash=sha256:b",
    ]


def test_two_versions_of_one_package_are_refused() -> None:
    with pytest.raises(ValueError, match="x is 1 for some and 2 for others"):
        lock.merged({OLD: report(("x", "1", "a")), NEW: report(("x", "2", "b"))})
