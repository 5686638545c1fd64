"""What trials measured, per metric: a small file to commit, and the two sides of a comparison."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from cgbench.errors import BaselineError, NoBaseline
from cgbench.records import first_format
from cgbench.records.files import first_complaint, read_versioned
from cgbench.records.host import Host
from cgbench.records.run import PointKey
from cgbench.records.versions import BASELINE, DAMAGED
from cgbench.records.writing import write_file
from cgbench.spec.fields import Foreign, ImageName, Label, MetricName, Name, RunName, Via
from cgbench.spec.metrics import METRICS
from cgbench.spec.model import Model

FOLDER = "baselines"
_SMALLEST, _LARGEST = 1e-15, 1e20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_Number = Annotated[int, Field(ge=0, lt=2**63)]


class Series(Model):
    """One metric of one container at one value: an entry per repetition, None where it lacks.

    `expected` is what the metric should be, None where nothing is expected or known of it.
    """

    role: Name
    option: Name
    via: Via
    requested: Foreign
    note: Foreign | None = None
    metric: MetricName
    unit: Label
    expected: float | None = None
    values: tuple[float | None, ...]

    @model_validator(mode="before")
    @classmethod
    def _of_the_first_format(cls, document: Any) -> Any:
        return first_format.with_note(document)

    @property
    def point(self) -> PointKey:
        """The point that was measured."""
        return PointKey(self.role, self.option, self.via, self.requested, self.note)

    @property
    def key(self) -> tuple[PointKey, str]:
        """What the series is known by."""
        return self.point, self.metric


class Noise(Model):
    """What disturbed one repetition, in CPUs taken by the hypervisor and by other processes.

    None is what is not known: of others where that of the daemon or of a container is not, `mhz`
    and `thermal_throttles` where the kernel does not report it.
    """

    repetition: _Number
    steal_cpus: float | None
    other_cpus: float | None
    mhz: float | None = None
    thermal_throttles: _Number | None = None


class Baseline(Model):
    """The trials of one run, as far as they are compared; `schedule` is a digest of its steps.

    `described` has a line for each thing the schedule says; none in a file of an older cgbench.
    """

    schema_version: int = BASELINE.written
    name: Label
    experiment: Name
    run: RunName
    started: Label
    host: Host
    image: ImageName
    schedule: Label
    described: tuple[Foreign, ...] = ()
    repetitions: tuple[_Number, ...]
    noise: tuple[Noise, ...] = ()
    series: tuple[Series, ...]

    def to_text(self) -> str:
        """Return it as JSON with a line per series, which a diff shows one by one."""
        head = self.model_dump(mode="json", exclude={"series"})
        lines = [json.dumps(one.model_dump(mode="json"), allow_nan=False) for one in self.series]
        opening = json.dumps(head, indent=1, allow_nan=False).removesuffix("\n}")
        return opening + ',\n "series": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"


# Files


def path_of(name: str, results: Path) -> Path:
    """Return where the baseline called `name` is kept. Raises BaselineError on an unfit name."""
    if not _NAME.fullmatch(name):
        raise BaselineError(
            f"{name!r} cannot name a baseline", "Use letters, digits, dots, dashes, underscores."
        )
    return results / FOLDER / f"{name}.json"


def write(baseline: Baseline, results: Path) -> Path:
    """Write a baseline and return its path. Raises StoreError when it cannot be written."""
    return write_file(path_of(baseline.name, results), baseline.to_text())


def names(results: Path) -> list[str]:
    """Return the names of all baselines there are, sorted."""
    return sorted(path.stem for path in (results / FOLDER).glob("*.json"))


def find(text: str, results: Path) -> Baseline:
    """Return the baseline that `text` names: a file, or a name under `results`.

    Raises NoBaseline when there is none, StoreError when it is damaged or too new.
    """
    path = Path(text)
    if not path.is_file():
        path = path_of(text, results) if _NAME.fullmatch(text) else path
    if not path.is_file():
        known = ", ".join(names(results)) or "none yet"
        raise NoBaseline(
            f"no baseline called {text} under {results / FOLDER} (there: {known})",
            "Make one: cgbench baseline set RUN --name NAME.",
        )
    return read(path)


def read(path: Path) -> Baseline:
    """Read a baseline. Raises StoreError or BaselineError that names the file and key."""
    document = read_versioned(path, BASELINE, "Give a file that `baseline set` wrote.")
    try:
        found = Baseline.model_validate(document)
    except ValidationError as error:
        raise BaselineError(f"{path}: {first_complaint(error)}", DAMAGED) from None
    for one in found.series:
        place = f"{path}: series {one.metric} at --{one.option} {one.point.label}"
        if len(one.values) != len(found.repetitions):
            raise BaselineError(
                f"{place} has {len(one.values)} values for {len(found.repetitions)} repetitions",
                DAMAGED,
            )
        if one.metric not in METRICS:
            raise BaselineError(f"{place}: no metric has this name", DAMAGED)
        if not all(value is None or _measurable(value) for value in one.values):
            raise BaselineError(f"{place} has a value that nothing measures", DAMAGED)
    if len({one.key for one in found.series}) < len(found.series):
        raise BaselineError(f"{path}: two series of the same metric and value", DAMAGED)
    if sorted(set(found.repetitions)) != list(found.repetitions):
        raise BaselineError(f"{path}: its repetitions are not in order", DAMAGED)
    return found


def _measurable(value: float) -> bool:
    """Say whether a metric can have a value: beyond these ends arithmetic leaves its ground."""
    return value == 0 or _SMALLEST <= abs(value) <= _LARGEST
