"""Each line of the page on safety names tests that prove it, and they exist."""

from __future__ import annotations

import re

import pytest

from tests.docs.blocks import DOCS, ROOT

PAGE = (DOCS / "explanation" / "safety.md").read_text()
LINES = re.findall(r"^- (.*(?:\n  .*)*)", PAGE, re.MULTILINE)
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[:40].strip("*"))
def test_every_line_names_its_proof(line: str) -> None:
    assert re.search(r"`tests/[\w/]+\.py::test_\w+`", line)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_proof_exists(file: str, name: str) -> None:
    assert f"def {name}(" in (ROOT / file).read_text()
