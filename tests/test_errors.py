"""The tree of exceptions: as its docstring draws it, and how each ends the program."""

from __future__ import annotations

import re

import pytest

from cgbench import errors
from cgbench.errors import CgbenchError, NoBaseline, PreconditionError


def every_error() -> list[type[CgbenchError]]:
    found = [CgbenchError]
    for error in found:
        found += error.__subclasses__()
    return [error for error in found if error.__module__ == errors.__name__]


def drawn_parents() -> dict[str, str]:
    """Read child → parent off the tree in the docstring."""
    assert errors.__doc__ is not None
    parents: dict[str, str] = {}
    last_at_depth: dict[int, str] = {0: "CgbenchError"}
    for branch, name in re.findall(r"^ {4}([ │├└─]+)(\w+)", errors.__doc__, re.MULTILINE):
        depth = len(branch) // 4
        parents[name] = last_at_depth[depth - 1]
        last_at_depth[depth] = name
    return parents


def test_the_docstring_draws_the_tree_as_it_is() -> None:
    actual = {error.__name__: error.__mro__[1].__name__ for error in every_error()[1:]}
    assert drawn_parents() == actual


@pytest.mark.parametrize("error", every_error())
def test_undecided_exits_with_3_an_unmet_precondition_with_4_and_everything_else_with_2(
    error: type[CgbenchError],
) -> None:
    expected = {PreconditionError: 4, NoBaseline: 3}
    assert error("x").exit_code == expected.get(error, 2)


def test_the_advice_stands_on_a_second_line() -> None:
    error = CgbenchError("no such thing: x", "Did you mean y?")
    assert str(error) == "no such thing: x\nDid you mean y?"
    assert (error.message, error.advice) == ("no such thing: x", "Did you mean y?")


def test_without_advice_there_is_only_the_message() -> None:
    error = CgbenchError("no such thing: x")
    assert str(error) == "no such thing: x"
    assert error.advice is None
