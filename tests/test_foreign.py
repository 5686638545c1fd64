"""Text from outside: nothing in it steers a terminal, hides from a reader, or is markup.

Security finding 16 and "ESC passes to root's terminal" of the second rank.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench import foreign

ANYTHING = st.text(st.characters(codec=None, exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, 20 µs ✓ –\n\ttab", "plain, 20 µs ✓ –\n\ttab"),
        ("[/red] [bold]", "[/red] [bold]"),
        ("\x1b[2J\x07\r\x7f", r"\x1b[2J\x07\r\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u202eb\u2028", r"a\u202eb\u2028"),
        ("\udcff", r"\udcff"),
        ("\ufffe\uffff", r"\ufffe\uffff"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert foreign.printable(text) == shown


@given(ANYTHING)
def test_what_is_printable_stays_so_and_is_xml(text: str) -> None:
    shown = foreign.printable(text)
    assert foreign.printable(shown) == shown
    element = ET.Element("a", b=shown)
    assert ET.fromstring(ET.tostring(element)).get("b") is not None
    assert not set("\x00\x08\x1b\r\x7f\x9b\u202e\u200b\ufeff") & set(shown)


@given(ANYTHING)
def test_one_line_is_one_line(text: str) -> None:
    shown = foreign.one_line(text, 40)
    assert len(shown.splitlines()) <= 1
    assert len(shown) <= 40
    assert foreign.one_line(shown, 40) == shown


@given(ANYTHING)
def test_what_is_stored_can_be_encoded_and_is_stored_again_as_it_is(text: str) -> None:
    kept = foreign.storable(text)
    kept.encode()
    assert foreign.storable(kept) == kept


def test_of_a_long_text_the_two_ends_are_kept() -> None:
    kept = foreign.storable("a" * 10**6 + "b" * 10**6)
    assert len(kept) <= foreign.LONGEST
    assert kept.startswith("aa")
    assert kept.endswith("bb")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cpus_used", "cpus_used"),
        ("a | b\nc", "a \\| b c"),
        ("`x` *y* _z_ ~s~", "\\`x\\` \\*y\\* \\_z\\_ \\~s\\~"),
        ("![i](http://x) <b>", "!\\[i\\](http://x) \\<b\\>"),
        ("\n### ✓ unchanged", "\\### ✓ unchanged"),
        ("- [x] done", "\\- \\[x\\] done"),
        ("&lt;", "\\&lt;"),
    ],
)
def test_nothing_in_a_text_is_markup_of_markdown(text: str, shown: str) -> None:
    assert foreign.markdown(text) == shown


def test_code_in_a_table_ends_where_we_end_it() -> None:
    assert foreign.markdown_code("a `b` | c\nd") == "`a 'b' \\| c d`"
