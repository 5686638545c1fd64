"""Make the image that all workloads share."""

from __future__ import annotations

from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.host.scratch import ownership
from cgbench.measuring.site import Progress
from cgbench.spec import workload


def build(progress: Progress) -> str:
    """Build the image unless it is there, and return its tag; `progress` shows each line."""
    engine = Engine()
    try:
        owner = str(ownership.this_process())
        return image.build(engine.images, workload.directory(), progress, owner)
    finally:
        engine.close()
