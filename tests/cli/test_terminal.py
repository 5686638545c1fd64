"""No text from outside steers the terminal."""

from __future__ import annotations

import json

import pytest

from cgbench.cli import terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, 20 µs ✓ –\n\ttab", "plain, 20 µs ✓ –\n\ttab"),
        ("[/red] [bold]", "[/red] [bold]"),
        ("\x1b[2J\x07\r\x7f", r"\x1b[2J\x07\r\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u202eb\u2028", r"a\u202eb\u2028"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert terminal.printable(text) == shown


def test_everything_printed_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say("\x1b[1mone\ntwo")
    terminal.complain("\x1b]0;title\x07")
    terminal.say_json({"a": "\x9b\x1b"})
    out, err = capsys.readouterr()
    assert out.splitlines()[:2] == [r"\x1b[1mone", "two"]
    assert json.loads(out.splitlines()[2]) == {"a": "\x9b\x1b"}
    assert "\x1b" not in out + err
    assert "\x9b" not in out
    assert err == "cgbench: \\x1b]0;title\\x07\n"
