"""The version that every kind of stored document carries, and which ones this cgbench reads.

A version is raised when a cgbench released before could not read what is written, such as for a
new key. What is older still reads: models fill in or convert what it lacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cgbench.errors import StoreError

DAMAGED = "The file is damaged."


@dataclass(frozen=True)
class Versions:
    """The version of one kind of document that is written, and the oldest that is read."""

    written: int
    oldest: int = 1

    def check(self, path: Path, found: object) -> None:
        """Raise StoreError, which names `path`, unless a document of version `found` is read."""
        if not isinstance(found, int) or isinstance(found, bool) or found < 1:
            raise StoreError(f"{path}: no schema version", DAMAGED)
        if found > self.written:
            raise StoreError(
                f"{path}: written by a newer cgbench (schema version {found}; this one reads up "
                f"to {self.written})",
                "Update cgbench.",
            )
        if found < self.oldest:
            raise StoreError(
                f"{path}: written by an older cgbench (schema version {found}; this one reads "
                f"from {self.oldest} on)",
                "Read it with the cgbench that wrote it.",
            )


RUN = Versions(2)
"""A run's directory: run.json, and the lines of trials.jsonl, which carry no version themselves.

1 wrote the note of a step behind its value; 2 keeps it apart, and the host's pages, CPUs and image.
"""

TABLE = Versions(2)
"""A Parquet file of a run, in its metadata; 1 had none there."""

TRUTH = Versions(2)
"""A truth table; see RUN."""

BASELINE = Versions(2)
"""A baseline; see RUN."""

AUDIT = Versions(1)
"""What `cgbench audit --json` writes."""

CAUSE = Versions(1)
"""What `cgbench why --json` writes."""

ATLAS = Versions(1)
"""A row of the atlas; the truth table in it has a version of its own."""

FLEET = Versions(1)
"""A fleet's document; what each of its hosts gave has a version of its own."""

TUNE = Versions(1)
"""What `cgbench tune --json` writes."""
