"""Programs that are missing or fail, files that refuse, signals that come at the wrong time."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cgbench import programs
from cgbench.errors import PreconditionError, ScratchError
from cgbench.host.scratch import commands


def test_a_user_without_rights_is_told_to_use_sudo() -> None:
    commands.require_root(effective_user=0)
    with pytest.raises(PreconditionError, match="only root") as caught:
        commands.require_root(effective_user=1000)
    assert "sudo" in str(caught.value.advice)


@pytest.mark.parametrize(
    ("program", "package"),
    [
        ("losetup", "mount"),
        ("mkswap", "util-linux"),
        ("swapon", "mount"),
        ("modprobe", "kmod"),
        ("none-such", "none-such"),
    ],
)
def test_the_package_of_a_missing_program_is_named(
    monkeypatch: pytest.MonkeyPatch, program: str, package: str
) -> None:
    monkeypatch.setattr(programs, "find", lambda name: None)
    with pytest.raises(PreconditionError, match=program) as caught:
        commands.run(program)
    assert f"apt-get install {package}" in str(caught.value.advice)


def test_what_a_program_prints_is_returned() -> None:
    assert commands.run("echo", "a", Path("/b")) == "a /b"


def test_the_last_words_of_a_program_that_fails_are_told() -> None:
    with pytest.raises(ScratchError, match=r"sh -c .* failed: second"):
        commands.run("sh", "-c", "echo first >&2; echo second >&2; exit 3")
    with pytest.raises(ScratchError, match="exit status 3"):
        commands.run("sh", "-c", "exit 3")


def test_a_program_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_TIMEOUT_S", 0.1)
    with pytest.raises(ScratchError, match="did not end"):
        commands.run("sleep", "10")


def test_a_file_that_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScratchError, match="nowhere/file"):
        commands.write(tmp_path / "nowhere/file", "1")
    assert commands.read(tmp_path / "nowhere/file") is None
    (tmp_path / "file").write_text("0\n")
    commands.write(tmp_path / "file", "1\n")
    assert commands.read(tmp_path / "file") == "1"


def test_a_module_is_not_loaded_without_modprobe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda name: None)
    assert commands.load_module("none-such") is False


def test_waiting_ends_when_the_condition_holds_or_the_time_is_up() -> None:
    answers = iter([False, False, True])
    assert commands.until(lambda: next(answers))
    begin = time.monotonic()
    assert not commands.until(lambda: False, timeout_s=0.1)
    assert 0.1 <= time.monotonic() - begin < 10


class Interrupted(BaseException):
    pass


@pytest.fixture
def interruptible() -> Iterator[None]:
    def handler(_number: int, _frame: object) -> None:
        raise Interrupted

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, previous in before.items():
        signal.signal(number, previous)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_comes_after_giving_back_and_not_within(number: signal.Signals) -> None:
    reached = []

    def give_back() -> None:
        with commands.undisturbed():
            with commands.undisturbed():
                os.kill(os.getpid(), number)
                time.sleep(0.01)
                reached.append("inner")
            reached.append("outer")

    with pytest.raises(Interrupted):
        give_back()
    assert reached == ["inner", "outer"]


@pytest.mark.usefixtures("interruptible")
def test_a_signal_that_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with commands.undisturbed():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def test_in_another_thread_there_is_nothing_to_put_off() -> None:
    entered = []

    def give_back() -> None:
        with commands.undisturbed():
            entered.append(True)

    thread = threading.Thread(target=give_back)
    thread.start()
    thread.join()
    assert entered == [True]


def test_a_file_that_the_kernel_does_not_offer_is_not_made(tmp_path: Path) -> None:
    """Security finding 10: an experiment's key named the file that root then made."""
    offered, absent = tmp_path / "low_latency", tmp_path / "elsewhere"
    offered.write_text("1 of old")
    commands.write(offered, "0")
    assert offered.read_text() == "0"
    with pytest.raises(ScratchError, match="elsewhere: No such file"):
        commands.write(absent, "0")
    assert not absent.exists()


def test_a_program_finds_others_where_root_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert commands.run("sh", "-c", "echo $PATH") == programs.SYSTEM
