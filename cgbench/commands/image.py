"""Make the image that all workloads share."""

from __future__ import annotations

import sys
from pathlib import Path

from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.errors import ImageError
from cgbench.host.scratch import ownership
from cgbench.measuring.site import Progress
from cgbench.records import writing
from cgbench.spec import workload


def build(progress: Progress) -> str:
    """Build the image unless it is there, and return its tag; `progress` shows each line."""
    engine = Engine()
    try:
        owner = str(ownership.this_process())
        return image.build(engine.images, workload.directory(), progress, owner)
    finally:
        engine.close()


def save(file: Path | None) -> str:
    """Write the image as a tar to a file, or to standard output; return its tag.

    Raises ImageError where it is not built, and StoreError where it cannot be written.
    """
    engine = Engine()
    tag = image.tag(workload.directory())
    try:
        if file is None:
            for part in engine.images.saved(tag):
                sys.stdout.buffer.write(part)
            sys.stdout.flush()
        else:
            with writing.whole(file) as out:
                for part in engine.images.saved(tag):
                    out.write(part)
    finally:
        engine.close()
    return tag


def load(file: Path | None) -> str:
    """Load the image from a tar that `save` wrote, or from standard input; return its tag.

    Raises ImageError where it is another image, or the file cannot be read.
    """
    engine = Engine()
    tag = image.tag(workload.directory())
    try:
        if file is None:
            engine.images.load(sys.stdin.buffer, tag)
        else:
            try:
                with file.open("rb") as tar:
                    engine.images.load(tar, tag)
            except OSError as error:
                raise ImageError(f"cannot read {file}: {error.strerror}") from None
    finally:
        engine.close()
    return tag
