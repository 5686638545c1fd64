"""The digest of the rules: the same for the same sources, and made from all that compute rows."""

from __future__ import annotations

from pathlib import Path

import pytest

import cgbench
from cgbench.records import rules


def test_it_is_the_same_each_time() -> None:
    first = rules.digest()
    rules.digest.cache_clear()
    assert rules.digest() == first
    assert len(first) == 16


@pytest.mark.parametrize("source", ["units.py", "judging/steady.py", "spec/metrics.py"])
def test_it_changes_with_every_source_of_a_figure(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rules.digest()
    changed = Path(cgbench.__file__).parent / source
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"#" * (path == changed))
    rules.digest.cache_clear()
    try:
        assert rules.digest() != before
    finally:
        rules.digest.cache_clear()
