"""A few cases of `python -m tests.bench.lies`: what a daemon did to updates is what is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.lie_list import KINDS
from tests.bench.short_options import shorts
from tests.bench.spoiled import Case

pytestmark = pytest.mark.docker

CASES = [
    ("late", "pids-limit"),
    ("halved", "cpu-period"),
    ("after its phase", "cpu-period"),
    ("undone", "cpuset-cpus"),
    ("every second", "cpuset-cpus"),
    ("refused, applied", "cpus"),
    ("warned, dropped", "cpu-rt-period"),
    ("besides", "cpus"),
    ("other key", "cpu-period"),
    ("declared otherwise", "cpuset-cpus"),
    ("no JSON", "cpus"),
]


@pytest.mark.parametrize(("kind", "option"), CASES, ids=[f"{one} {of}" for one, of in CASES])
def test_what_a_daemon_did_to_updates_is_what_is_said(
    kind: str, option: str, tmp_path: Path
) -> None:
    (lie,) = (one for one in KINDS if one.name == kind)
    case = Case(lie, shorts()[option])
    found = case.measured(tmp_path)
    assert case.wrong(found) is None, found.verdict.reason
