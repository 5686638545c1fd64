"""How commands end: with statuses that a job can distinguish, and never with a traceback."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from cgbench.cli import exits
from cgbench.errors import CgbenchError, NoBaseline, PreconditionError


def ending(error: Exception) -> int:
    def command() -> None:
        raise error

    with pytest.raises(typer.Exit) as ended:
        exits.guarded(command)()
    return ended.value.exit_code


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CgbenchError("no such thing"), exits.ERROR),
        (NoBaseline("none yet"), exits.UNDECIDED),
        (PreconditionError("no swap"), exits.UNMET),
    ],
)
def test_an_error_that_is_named_ends_with_its_own_status(
    error: CgbenchError, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(error) == status
    assert capsys.readouterr().err == f"cgbench: {error.message}\n"


@pytest.mark.parametrize("error", [KeyError("x"), EOFError(), OSError(28, "No space left")])
def test_an_unexpected_error_never_ends_as_a_regression_does(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(error) == exits.ERROR
    (line,) = capsys.readouterr().err.splitlines()
    named = re.search(r"cgbench: unexpected error: (\w+).* with (/\S+)$", line)
    assert named is not None
    assert named[1] == type(error).__name__
    path = Path(named[2])
    assert "Traceback (most recent call last)" in path.read_text()
    path.unlink()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        ImportError("/x/lib.so: failed to map segment from shared object"),
    ],
)
def test_a_lack_of_memory_is_no_unexpected_error(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(error) == exits.ERROR
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cgbench: out of memory")


def test_a_traceback_that_cannot_be_kept_changes_no_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    assert ending(KeyError("x")) == exits.ERROR
    assert "KeyError: 'x' (no traceback was kept: No such file" in capsys.readouterr().err


def test_usage_is_left_to_typer() -> None:
    def command() -> None:
        raise typer.BadParameter("neither")

    with pytest.raises(typer.BadParameter):
        exits.guarded(command)()


def test_a_reader_that_has_seen_enough_is_no_regression_and_no_traceback(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from cgbench.cli import app\n"
        "readable, writable = os.pipe()\n"
        "os.close(readable)\n"
        "os.dup2(writable, 1)\n"
        f"sys.argv = ['cgbench', 'list', '--results', {str(tmp_path)!r}]\n"
        "app.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (exits.ERROR, "")


@pytest.mark.parametrize("closed", [1, 2])
def test_a_display_that_nobody_reads_ends_as_an_error_and_not_as_a_failed_trial(
    closed: int,
) -> None:
    """`cgbench run ... 2>&1 | head`: rich's own way out is status 1."""
    program = (
        "import os, sys, typer\n"
        "from cgbench.cli import exits\n"
        "from cgbench.cli.console import Console\n"
        "readable, writable = os.pipe()\n"
        "os.close(readable)\n"
        f"os.dup2(writable, {closed})\n"
        "app = typer.Typer()\n"
        f"console = Console(file=sys.std{'out' if closed == 1 else 'err'})\n"
        "app.command()(exits.guarded(lambda: console.print('a line')))\n"
        "app()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (exits.ERROR, "")
