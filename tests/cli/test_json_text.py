"""JSON is written as Python writes it, value for value and blank for blank."""

from __future__ import annotations

import json
from enum import StrEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.cli.json_text import indented


class Colour(StrEnum):
    RED = "red"


numbers = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers() | numbers | st.text() | st.just(Colour.RED)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text() | st.just(Colour.RED), inner)
    ),
)


@given(documents, st.sampled_from([1, 2]))
@settings(deadline=None)
def test_every_document_is_the_text_that_python_makes_of_it(document: object, indent: int) -> None:
    assert indented(document, indent) == json.dumps(document, indent=indent, allow_nan=False)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("inside", ["alone", "list", "dict"])
def test_what_is_no_number_of_json_is_refused(number: float, inside: str) -> None:
    document = {"alone": number, "list": [number], "dict": {"a": number}}[inside]
    with pytest.raises(ValueError, match="Out of range float"):
        indented(document, 1)
