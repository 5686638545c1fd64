"""What is damaged: built-in experiments, golden files, and the same files as written today."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from cgbench.judging.run import load
from cgbench.records import baseline, truth
from cgbench.records.results import runs
from cgbench.spec import experiment_file
from tests.fuzz import damage
from tests.fuzz.damage import Case

GOLDEN = Path(__file__).parent.parent / "golden" / "v1"
EXPERIMENTS = Path(experiment_file.__file__).parent.parent / "experiments"


@dataclass(frozen=True)
class Input:
    """One thing that commands read: a folder of files of which one is damaged."""

    name: str
    kind: str
    folder: Path

    def files(self) -> list[str]:
        """Return the names of its files."""
        return sorted(
            str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()
        )


def prepare(scratch: Path) -> list[Input]:
    """Lay out all inputs below `scratch`."""
    found = []
    for path in sorted(EXPERIMENTS.glob("*.toml")):
        folder = scratch / "experiments" / path.stem
        folder.mkdir(parents=True)
        shutil.copyfile(path, folder / "x.toml")
        found.append(Input(f"experiment {path.stem}", "experiment", folder))
    for directory in runs(GOLDEN):
        name = directory.path.parent.name
        for age in ("golden", "today"):
            folder = scratch / age / name
            shutil.copytree(directory.path, folder)
            found.append(Input(f"{age} run {name}", "run", folder))
            if age == "today":
                run = load(type(directory)(folder))
                run.directory.write_run(run.record)
                run.keep_rows()
    for kind, path in (
        ("baseline", GOLDEN / "baselines" / "golden-quota.json"),
        ("truth", next(GOLDEN.glob("verify/*/truth.json"))),
    ):
        folder = scratch / "golden" / kind
        folder.mkdir()
        shutil.copyfile(path, folder / f"{kind}.json")
        found.append(Input(f"golden {kind}", kind, folder))
        today = scratch / "today" / kind
        today.mkdir()
        if kind == "baseline":
            (today / "baseline.json").write_text(baseline.read(path).to_text())
        else:
            (today / "truth.json").write_text(json.dumps(truth.read(path).to_json()))
        found.append(Input(f"today {kind}", kind, today))
    return found


_SHARES = {"experiment": 0.4, "run": 0.4, "baseline": 0.08, "truth": 0.12}


def draw(inputs: Sequence[Input], seed: int) -> tuple[Input, Case]:
    """Return what is damaged under a seed, and how."""
    rng = random.Random(seed)
    kind = rng.choices(list(_SHARES), list(_SHARES.values()))[0]
    one = rng.choice([each for each in inputs if each.kind == kind])
    files = one.files()
    # Run.json and trials.jsonl are as many as all tables together.
    weights = [1.0 if name.endswith(".parquet") else 4.0 for name in files]
    file = rng.choices(files, weights)[0]
    content = (one.folder / file).read_bytes()
    if one.kind == "experiment":
        return one, damage.of_text(file, content, rng)
    if one.kind == "run" and rng.random() < 0.03:
        return one, {"file": file, "do": "swap", "with": rng.choice(files)}
    if file.endswith(".parquet"):
        if rng.random() < 0.6:
            return one, damage.of_table(file, pq.read_schema(one.folder / file).names, rng)
        return one, damage.of_bytes(file, content, rng)
    chosen = damage.of_json if rng.random() < 0.8 else damage.of_bytes
    return one, chosen(file, content, rng)
