"""Where a run's containers live: what everything that starts one needs to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cgbench.engine.engine import Engine
from cgbench.host.preconditions import SCRATCH

Progress = Callable[[str], None]
"""Shows in a few words what is measured next."""


def silent(_line: str) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class Site:
    """The daemon, the image, the run that containers belong to, and the host's trees.

    `programs` are the identities of the images of programs of one's own, by their names.
    """

    engine: Engine
    image: str
    run: str
    scratch: Path = SCRATCH
    proc: Path = Path("/proc")
    root: Path = Path("/")
    programs: Mapping[str, str] = field(default_factory=dict)
