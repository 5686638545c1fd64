"""How quickly the command line answers, beside the smallest typer program."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.figure import Figure, at_most

ROUNDS = 15

_TWO_COMMANDS = """
import typer
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

@app.command()
def one() -> None:
    "Do one thing."

@app.command()
def two() -> None:
    "Do another thing."

app()
"""


def figures(scratch: Path) -> list[Figure]:
    """Run both in turn and compare the medians."""
    small = scratch / "small.py"
    small.write_text(_TWO_COMMANDS)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(_seconds([sys.executable, str(small), "--help"]))
        ours.append(_seconds([sys.executable, "-m", "cgbench", "--help"]))
    mine, other = statistics.median(ours), statistics.median(theirs)
    return [at_most(f"--help / a small typer app ({1000 * mine:.0f} ms)", 1.3, mine / other)]


def _seconds(command: list[str]) -> float:
    begin = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin
