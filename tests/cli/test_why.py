"""`cgbench why` says the decisive cause first, and ends with 1 where a limit did it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from cgbench.cli import app
from cgbench.commands import why
from cgbench.engine import engine
from cgbench.records.cause import Cause, Explained, What

Ended = tuple[int, str]


class Daemon:
    """Is there, and is closed."""

    def close(self) -> None:
        pass


KILLED = Cause(
    what=What.KILLED, limit="memory", level="ancestor", path="/a", at="2026-01-02 03:04:05.678",
    reason="the memory limit of /a above it was reached", evidence=("dmesg: \x1b[31m",),
)  # fmt: skip
EXIT = Cause(what=What.EXIT, limit=None, level="none", reason="it ended by itself", sure=False)


@pytest.fixture
def ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Return what runs the command on a container with given causes."""

    def run(*causes: Cause, unknown: tuple[str, ...] = (), arguments: str = "") -> Ended:
        found = Explained(id="ab" * 32, name="web", state="exited", causes=causes, unknown=unknown)
        monkeypatch.setattr(engine, "Engine", Daemon)
        monkeypatch.setattr(why, "why", lambda *_, **__: found)
        status = app.command()(["why", "web", *arguments.split()], standalone_mode=False)
        return status if isinstance(status, int) else 0, capsys.readouterr().out

    return run


def test_a_limit_that_did_it_ends_with_1_and_shows_its_evidence(
    ended: Callable[..., Ended],
) -> None:
    status, said = ended(KILLED, EXIT)
    assert status == 1
    assert said.splitlines() == [
        "web (abababababab) is exited",
        "killed at 2026-01-02 03:04:05.678: the memory limit of /a above it was reached",
        "    dmesg: \\x1b[31m",
        "exit, probably: it ended by itself",
    ]


def test_no_limit_ends_with_0_and_what_is_not_known_with_3(ended: Callable[..., Ended]) -> None:
    sure = EXIT.model_copy(update={"sure": True})
    assert ended(sure)[0] == 0
    assert ended(sure, unknown=("the log",))[0] == 0
    status, said = ended(EXIT, unknown=("the log",))
    assert status == 3
    assert "not known: the log" in said
    status, said = ended()
    assert status == 0
    assert "no limit holds it back" in said


def test_json_has_all_of_it_and_no_text(ended: Callable[..., Ended]) -> None:
    status, said = ended(KILLED, arguments="--json -")
    assert status == 1
    document = json.loads(said)
    assert document["causes"][0]["level"] == "ancestor"
    assert document["schema_version"] == 1
