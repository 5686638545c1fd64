"""Only one cgbench measures at a time, and what a dead one left is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cgbench.errors import PreconditionError
from cgbench.host import lock


def test_a_second_cgbench_is_refused_and_told_who_holds_the_host(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        lock.exclusively(path),
        pytest.raises(PreconditionError, match=f"process {os.getpid()}"),
        lock.exclusively(path),
    ):
        pass


def test_the_lock_is_free_again_when_its_holder_died(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = (
        "import os, pathlib, signal; from cgbench.host import lock\n"
        f"with lock.exclusively(pathlib.Path({str(path)!r})):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    with lock.exclusively(path):
        assert path.read_text() == str(os.getpid())


def test_leftovers_are_only_our_own_scratch_directories(tmp_path: Path) -> None:
    (tmp_path / "cgbench-x-0001").mkdir()
    (tmp_path / "cgbench-file").write_text("")
    (tmp_path / "other").mkdir()
    assert lock.scratch_leftovers(tmp_path) == [tmp_path / "cgbench-x-0001"]
