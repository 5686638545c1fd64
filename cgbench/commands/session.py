"""One measuring cgbench on a host: alone, on a clean host, with the daemon and the image."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cgbench.commands import clean
from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.host import interrupts, lock, preconditions
from cgbench.measuring.site import Progress, Site, silent
from cgbench.records.results import new_run_name
from cgbench.spec import workload


@dataclass(frozen=True)
class Session:
    """The daemon, the image, where runs are kept, the seed of their orders, and who is shown what.

    `progress` shows what is measured next, `detail` every single try.
    """

    engine: Engine
    image: str
    results: Path
    seed: int
    progress: Progress = silent
    detail: Progress = silent

    def site(self) -> Site:
        """Return where containers of a new run live."""
        return Site(self.engine, self.image, new_run_name())

    def require_image(self, tag: str) -> None:
        """Raise ImageError unless Docker has the image `tag`."""
        if not self.engine.images.has_image(tag):
            raise image.missing(tag)


@contextmanager
def opened(
    results: Path,
    seed: int | None = None,
    progress: Progress = silent,
    detail: Progress = silent,
    remark: Progress = silent,
    wait_s: float = 0.0,
) -> Iterator[Session]:
    """Yield a session that has the host for itself, after removing what a dead one left.

    Without `seed` one is drawn. Another cgbench is waited for up to `wait_s`. `remark` gets a line
    for that, and for each thing that a dead one left, that cannot be removed and that disturbs not.
    Raises PreconditionError when nothing can be measured
    here, when something that would disturb cannot be removed, or when another cgbench is measuring.
    """
    # Modules were imported by now.
    interrupts.require_none()
    preconditions.require_measurable()
    with lock.exclusively(wait_s=wait_s, waiting=remark):
        engine = Engine()
        try:
            # Nobody else holds the lock, so what is there was left by a cgbench that died.
            for line in clean.make_room(engine):
                remark(line)
            tag = image.tag(workload.directory())
            drawn = secrets.randbelow(2**31) if seed is None else seed
            yield Session(engine, tag, results, drawn, progress, detail)
        finally:
            engine.close()
