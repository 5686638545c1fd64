"""Which program the tests take as their Chromium."""

from __future__ import annotations

import re
from pathlib import Path

from tests.browser.conftest import PROGRAMS

SETUP = Path(__file__).parents[2] / ".ci" / "setup"


def test_set_up_looks_for_the_same_programs() -> None:
    looked_for = re.search(r"^have_browser\(\) \{\n(.*?)^\}", SETUP.read_text(), re.M | re.S)
    assert looked_for is not None
    assert re.findall(r"-x (\S+) ", looked_for[1]) == [str(program) for program in PROGRAMS]
