"""What a campaign finds after cgbench has ended: things left or touched, results not to be read."""

from __future__ import annotations

import time

from cgbench.errors import CgbenchError
from cgbench.records.run_directory import RunDirectory
from tests.bench import world

_SETTLED_S = 10.0


def unreadable(directory: RunDirectory) -> list[str]:
    """Return why a run's finished trials cannot be read; nothing where they can."""
    if not (directory.path / "run.json").exists():
        # Killed between making the folder and writing the file.
        return [] if not (directory.path / "trials.jsonl").exists() else [f"{directory.path}"]
    try:
        directory.run()
        for trial in directory.trials():
            for file in directory.path.glob(f"samples/trial-{trial.number:04}*.parquet"):
                if not file.stat().st_size:
                    return [f"{file} is empty"]
            if not (directory.path / f"samples/trial-{trial.number:04}.parquet").exists():
                return [f"{directory.path}: trial {trial.number} has no samples"]
    except CgbenchError as error:
        return [error.message]
    return []


def differences(before: world.World) -> list[str]:
    """Return what is there that was not, and what is gone, once the kernel has settled."""
    limit = time.monotonic() + _SETTLED_S
    while (now := world.look()) != before and time.monotonic() < limit:
        time.sleep(0.2)
    return [
        *(f"left: {one}" for one in sorted(now - before)),
        *(f"touched: {one}" for one in sorted(before - now)),
    ]
