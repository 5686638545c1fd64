"""A connection to the daemon that must find no container of cgbench's left at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cgbench.engine.engine import Engine


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    assert engine.leftovers() == []
    engine.close()
