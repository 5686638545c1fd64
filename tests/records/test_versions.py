"""Versions: what is newer, older or none is said to be; each in one line with the next move."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgbench.errors import StoreError
from cgbench.records.versions import Versions

RANGE = Versions(written=4, oldest=2)
HERE = Path("run.json")


@pytest.mark.parametrize("found", [2, 3, 4])
def test_versions_of_the_range_are_read(found: int) -> None:
    RANGE.check(HERE, found)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (5, "run.json: written by a newer cgbench (schema version 5; this one reads up to 4)\n"
            "Update cgbench."),
        (1, "run.json: written by an older cgbench (schema version 1; this one reads from 2 on)\n"
            "Read it with the cgbench that wrote it."),
        (0, "run.json: no schema version\nThe file is damaged."),
        (None, "run.json: no schema version\nThe file is damaged."),
        (True, "run.json: no schema version\nThe file is damaged."),
        ("3", "run.json: no schema version\nThe file is damaged."),
        (3.0, "run.json: no schema version\nThe file is damaged."),
    ],
)  # fmt: skip
def test_others_are_refused_by_what_they_are(found: object, message: str) -> None:
    with pytest.raises(StoreError) as caught:
        RANGE.check(HERE, found)
    assert str(caught.value) == message
