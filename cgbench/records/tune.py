"""What a search for the smallest sufficient limit came to: one document for all its trials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from pydantic import ValidationError

from cgbench.errors import StoreError
from cgbench.records.files import first_complaint, read_versioned
from cgbench.records.host import Host
from cgbench.records.versions import DAMAGED, TUNE
from cgbench.records.writing import write_file
from cgbench.spec.fields import Foreign, Label, MetricName, Name, RunName
from cgbench.spec.model import Model
from cgbench.spec.program import Program
from cgbench.spec.target import Target

FOLDER = "tune"
"""Where searches are kept below the results."""

FILE = "tune.json"
_ADVICE = "Name a folder that `cgbench tune` left below results/tune."


class Verdict(StrEnum):
    """What a search came to."""

    FOUND = "found"
    ALL = "all"
    NONE = "none"
    UNDECIDED = "undecided"


class Observation(Model):
    """One phase under one limit, in base units: did it meet the target?

    `met` is None where it does not count; `reason` says why, or why it was missed without a value.
    `metrics` has what else was measured. `run` and `phase` say where the raw samples are.
    """

    limit: float
    value: float | None
    met: bool | None
    reason: Foreign | None = None
    metrics: Mapping[MetricName, float] = {}
    run: RunName
    phase: int


class Knee(Model):
    """Where the target begins to be met: between `low` and `high` with probability `level`."""

    median: float
    low: float
    high: float
    level: float


class Tuned(Model):
    """A search: what was asked, every phase that was measured, and what follows.

    All limits are in `unit`. `suggested` is the smallest limit that meets the target with
    probability `level` of the knee; `margin_pct` is by how much it exceeds the knee's median.
    `confirmed` counts phases at the suggested limit or above it, in trials made after it was
    suggested, and `of` how many there were.
    """

    schema_version: int = TUNE.written
    name: RunName
    started: Label
    seconds: float
    program: Name
    declared: Program
    limit: Name
    unit: Label
    target: Target
    low: float
    high: float
    budget_s: float
    seed: int
    host: Host | None
    verdict: Verdict
    reason: Foreign
    knee: Knee | None = None
    suggested: float | None = None
    margin_pct: float | None = None
    confirmed: int = 0
    of: int = 0
    observations: tuple[Observation, ...] = ()
    notes: tuple[Foreign, ...] = ()


def write(folder: Path, tuned: Tuned) -> Path:
    """Write the document of a search whole and return its path. Raises StoreError."""
    path = folder / FILE
    write_file(path, json.dumps(tuned.model_dump(mode="json"), indent=1, allow_nan=False) + "\n")
    return path


def read(path: Path) -> Tuned:
    """Read the document of a search, or that in a folder. Raises StoreError where it is none."""
    file = path / FILE if path.is_dir() else path
    document = read_versioned(file, TUNE, _ADVICE)
    try:
        return Tuned.model_validate(document)
    except ValidationError as error:
        said = first_complaint(error)
        raise StoreError(f"{file}: not a search for a limit: {said}", DAMAGED) from None
