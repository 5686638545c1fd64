"""The lab's command line."""

from __future__ import annotations

import pytest

from tests.lab import __main__ as lab
from tests.lab import host as hosts


def test_the_hosts_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == hosts.names()
    assert lines[0].startswith("trixie ")


def test_the_command_line_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.main(["dance"]) == 2
    assert "start [HOST]|list|stop|status" in capsys.readouterr().err
