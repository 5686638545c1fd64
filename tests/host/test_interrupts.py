"""Interrupts: the first stops the work, the second waits for the cleaning up, the third ends it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

START = """
import signal, sys, time
from cgbench.host import interrupts
from cgbench.host.scratch import commands
interrupts.install()
def wait(what):
    print(what, flush=True)
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        time.sleep(0.01)
"""

WORK = """
try:
    wait("working")
except interrupts.Interrupted:
    wait("cleaning")
"""

UNDISTURBED = """
with commands.undisturbed():
    wait("undisturbed")
"""


def start(program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START + program],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def until(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == line


def send(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Send a signal, and wait until it is handled: two that are not delivered yet are one."""
    process.send_signal(number)
    limit, quiet = time.monotonic() + 30, 0
    while quiet < 3:
        assert time.monotonic() < limit, "the signal was never handled"
        time.sleep(0.01)
        quiet = quiet + 1 if _at_rest(process.pid) else 0


def _at_rest(pid: int) -> bool:
    """Say whether a process sleeps or has ended, with no signal on its way to it."""
    said = Path(f"/proc/{pid}/status").read_text()
    lines = dict(line.split(":", 1) for line in said.splitlines())
    pending = int(lines["SigPnd"], 16) | int(lines["ShdPnd"], 16)
    return not pending and lines["State"].strip()[0] in "SZ"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_stops_the_work_and_the_third_ends_the_process(number: signal.Signals) -> None:
    process = start(WORK)
    until(process, "working")
    send(process, number)
    until(process, "cleaning")
    for _ in range(2 if number is not signal.SIGHUP else 3):
        send(process, signal.SIGINT)
    _out, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupt once more to end at once" in said
    assert (
        said.splitlines()[-1]
        == "cgbench: ended at once; what it left is removed by `cgbench clean`"
    )


def test_the_third_also_ends_what_is_otherwise_never_disturbed() -> None:
    process = start(UNDISTURBED)
    until(process, "undisturbed")
    for _ in range(3):
        assert process.poll() is None
        send(process, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_one_that_was_put_off_still_stops_the_work() -> None:
    process = start(
        "try:\n"
        "    with commands.undisturbed():\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "        print('whole', flush=True)\n"
        "except interrupts.Interrupted:\n"
        "    print('stopped', flush=True)\n"
    )
    out, said = process.communicate(timeout=60)
    assert (process.returncode, out, said) == (0, "whole\nstopped\n", "")


def test_a_process_that_is_to_outlive_its_terminal_does() -> None:
    process = subprocess.Popen(
        ["nohup", sys.executable, "-c", START + WORK],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(process, "working")
    send(process, signal.SIGHUP)
    assert process.poll() is None
    process.kill()
    process.communicate()


def test_an_interrupt_that_was_dropped_is_raised_again_where_work_goes_on() -> None:
    """SIGHUP in the imports of `cgbench run`: it measured on, and ended with status 0."""
    process = start("""
class Dropping:
    def __del__(self):
        wait("working")

interrupts.require_none()
dropped = Dropping()
del dropped
try:
    interrupts.require_none()
except interrupts.Interrupted:
    print("raised again")
""")
    until(process, "working")
    send(process, signal.SIGHUP)
    until(process, "raised again")
    process.communicate(timeout=60)


def test_a_signal_that_comes_while_python_ends_changes_no_status() -> None:
    script = """
import os, signal, sys
from cgbench.host import interrupts

class Late:
    def __del__(self, kill=os.kill, me=os.getpid(), number=signal.SIGINT):
        kill(me, number)

late = Late()
interrupts.install()
sys.exit(130)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert done.returncode == 130


@pytest.mark.parametrize("raised", ["", "raise SystemExit(3)"])
def test_a_signal_between_the_command_and_the_end_of_python_leaves_no_traceback(
    raised: str,
) -> None:
    """Seen when a run was killed as it ended: a traceback beneath its result."""
    script = f"""
import atexit, os, signal, sys
from cgbench.cli import app
def command():
    # As a library does that ends its threads: it runs before what was registered earlier.
    atexit.register(lambda: os.kill(os.getpid(), signal.SIGTERM))
    {raised or "pass"}
app.command = lambda only: command
app.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (3 if raised else 0, "")
