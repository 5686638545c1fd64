"""A mark in a file: certainly dead, alive, or nobody here can say."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cgbench.host import marks


def test_this_process_is_not_dead() -> None:
    mark = marks.of_this_process()
    assert mark is not None
    assert str(os.getpid()) in mark.split()
    assert not marks.is_dead(mark)


def test_a_process_that_ended_is_dead() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from cgbench.host import marks; print(marks.of_this_process())"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert marks.is_dead(done.stdout.strip())


def _changed(index: int, word: str) -> str:
    words = str(marks.of_this_process()).split()
    words[index] = word
    return " ".join(words)


@pytest.mark.parametrize(
    ("mark", "dead"),
    [
        (_changed(0, "another-boot"), True),
        (_changed(1, "pid:[1]"), False),
        (_changed(3, "1"), True),
        ("", False), ("nonsense", False), ("a b c d", False), ("a b 1 2 3", False),
    ],
    ids=["boot", "namespace", "start", "empty", "one word", "four words", "five words"],
)  # fmt: skip
def test_another_boot_or_start_is_dead_and_another_namespace_unknown(mark: str, dead: bool) -> None:
    assert marks.is_dead(mark) is dead
