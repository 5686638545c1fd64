"""The runs and truth tables below a results directory, found by name."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from cgbench.errors import StoreError
from cgbench.records.files import read_bytes
from cgbench.records.run_directory import RunDirectory

TRUTH = "truth.json"
"""The file of a truth table."""

_NAME = re.compile(r"^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}$")


def new_run_name(now: datetime | None = None) -> str:
    """Return a name that sorts by time and is unique: `20261124T101530Z-3f9c`."""
    stamp = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{stamp}-{secrets.token_hex(2)}"


def find_run(
    text: str, results: Path, fit: Callable[[RunDirectory], bool] = lambda _: True
) -> RunDirectory:
    """Return the run that `text` names: a path, a run's name, or an experiment's latest run.

    The latest is the latest that is `fit`. Raises StoreError when there is none, or more than one
    is named.
    """
    path = Path(text)
    if _is_directory(path) and ("/" in text or _is_file(path / "run.json")):
        return RunDirectory(path)
    known = runs(results)
    fitting = [run for run in known if run.path.name == text]
    if not fitting:
        latest = (run for run in reversed(known) if run.path.parent.name == text and fit(run))
        fitting = list(islice(latest, 1))
    if not fitting:
        fitting = [run for run in known if run.path.name.startswith(text)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(run.path.name for run in fitting[:5])
        raise StoreError(f"{text} fits {len(fitting)} runs: {names}", "Write more of the name.")
    raise StoreError(f"no run called {text} under {results}", "List the runs: cgbench list.")


def truth_tables(results: Path) -> list[Path]:
    """Return every truth table under `results`, oldest first by when it says it was begun."""
    return sorted(results.glob(f"verify/*/{TRUTH}"), key=_age)


def find_truth(text: str, results: Path) -> Path | None:
    """Return the truth table that `text` names, None if it names none.

    That is a file, its directory, the directory's name, or `verify` for the latest.
    """
    path = Path(text)
    if _is_file(path):
        return path
    if _is_file(path / TRUTH):
        return path / TRUTH
    known = truth_tables(results)
    if text == "verify":
        return known[-1] if known else None
    fitting = [one for one in known if one.parent.name.startswith(text)]
    return fitting[0] if len(fitting) == 1 else None


def runs(results: Path) -> list[RunDirectory]:
    """Return every run under `results`, oldest first by when it says it was begun."""
    documents = sorted(results.glob("*/*/run.json"), key=_age)
    return [RunDirectory(document.parent) for document in documents]


def _age(document: Path) -> tuple[bool, datetime, str]:
    """Return what sorts runs and truth tables by their ages.

    First come those that cannot be the latest: in a folder with a name of another form, without a
    time, or begun in the future, as after the clock was set back.
    """
    folder, begun = document.parent.name, _begun(document)
    known = begun is not None and begun <= datetime.now(UTC) and _NAME.match(folder) is not None
    return known, begun or datetime.min.replace(tzinfo=UTC), folder


def _begun(document: Path) -> datetime | None:
    """Return when a run or truth table says it was begun, None where it cannot be read."""
    try:
        begun = datetime.fromisoformat(json.loads(read_bytes(document))["started"])
    except (StoreError, ValueError, RecursionError, KeyError, TypeError):
        return None
    return begun if begun.tzinfo else begun.replace(tzinfo=UTC)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # Such as a name longer than a file may have.
        return False


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
