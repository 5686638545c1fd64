"""No text from outside steers the terminal."""

from __future__ import annotations

import json

import pytest

from cgbench.cli import terminal


def test_everything_printed_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say("\x1b[1mone\ntwo")
    terminal.complain("\x1b]0;title\x07")
    terminal.say_json({"a": "\x9b\x1b\x7f"}, indent=1)
    out, err = capsys.readouterr()
    assert out.splitlines()[:2] == [r"\x1b[1mone", "two"]
    assert json.loads("".join(out.splitlines()[2:])) == {"a": "\x9b\x1b\x7f"}
    assert "\x1b" not in out + err
    assert "\x9b" not in out
    assert "\x7f" not in out
    assert err == "cgbench: \\x1b]0;title\\x07\n"
