"""What holds for all tests: when Docker is required, and that no property has a limit in seconds.

Tests marked `docker` are skipped where Docker cannot be used, and fail where it is required, as
CGBENCH_REQUIRE_DOCKER says, which .ci/run sets.
"""

from __future__ import annotations

import functools
import gc
import os
import sys
from pathlib import Path

import hypothesis
import pytest

from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.errors import EngineError
from tests.__main__ import ON_CONTAINERS
from tests.made.heeded_signals import heed

CONTEXT = Path(__file__).parent.parent / "workloads"

# Whatever PYTHONDONTWRITEBYTECODE says: pytest rewrites the asserts of all modules, 4 s of CPU time
# in each process, unless it may keep them in __pycache__, which git ignores.
sys.dont_write_bytecode = False

# Nothing could be shown to end by a signal that it was made to ignore.
heed()

# Other load makes an example, and its drawing, as slow as it likes.
hypothesis.settings.register_profile(
    "any load", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any load")


@functools.cache
def why_no_docker() -> str | None:
    """Say why Docker tests cannot run here, or None when they can."""
    if os.geteuid() != 0:
        return "Docker tests need root"
    try:
        engine = Engine()
        try:
            missing = not engine.images.has_image(image.tag(CONTEXT))
        finally:
            engine.close()
    except EngineError as error:
        return error.message
    return "the workload image is missing: run cgbench image build" if missing else None


def pytest_collection_finish() -> None:
    # Nothing of what was loaded and collected goes before the end: to look through it for cycles
    # again and again is an eighth of the tests' CPU time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


_MARK = b"mark.docker"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    # To import what has no test on containers would take longer than many of these.
    if config.option.markexpr != ON_CONTAINERS or collection_path.suffix != ".py":
        return None
    return True if _MARK not in collection_path.read_bytes() else None


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.get_closest_marker("docker") is not None and _MARK not in item.path.read_bytes():
        raise pytest.UsageError(f"{item.path} must say {_MARK.decode()} itself")


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the library that draws out of pages: five megabytes that no test of words looks at."""
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("docker") is None or (reason := why_no_docker()) is None:
        return
    if os.environ.get("CGBENCH_REQUIRE_DOCKER"):
        pytest.fail(f"{reason} (and CGBENCH_REQUIRE_DOCKER is set)", pytrace=False)
    pytest.skip(reason)
