"""Idle containers for tests, and a reading of their files that owes nothing to cgbench."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.engine.labels import LABEL
from cgbench.measuring.idle.containers import Supply
from cgbench.measuring.site import Site
from cgbench.spec import workload


@contextmanager
def site() -> Iterator[Site]:
    """Yield a place for idle containers; none of them is left afterwards."""
    engine = Engine()
    try:
        place = Site(engine, image.tag(workload.directory()), f"test-{time.monotonic_ns()}")
        yield place
        assert containers(place) == []
    finally:
        engine.close()


@contextmanager
def supply() -> Iterator[Supply]:
    """Yield a supply of idle containers; none of them is left afterwards."""
    with site() as place, Supply(place) as supply:
        yield supply


def containers(site: Site, *also: str) -> list[str]:
    """Return the ids of all containers of a run, or of those of them that `docker ps` filters."""
    filters = [part for each in (f"label={LABEL}={site.run}", *also) for part in ("-f", each)]
    done = subprocess.run(
        ["docker", "ps", "-aq", "--no-trunc", *filters],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.split()


def cat(container_id: str, *names: str) -> str:
    """Return what `cat` prints of the first interface file there is, as a user would find it."""
    tests = " -o ".join(f"-name {name}" for name in names)
    found = subprocess.run(
        f"cat $(find /sys/fs/cgroup -path '*{container_id}*' \\( {tests} \\) | head -1)",
        shell=True, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return found.stdout.strip()


def inspected(container_id: str, field: str) -> str:
    """Return what `docker inspect` prints of a field of HostConfig."""
    done = subprocess.run(
        ["docker", "inspect", "--format", f"{{{{.HostConfig.{field}}}}}", container_id],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()
