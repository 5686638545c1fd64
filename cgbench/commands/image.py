"""Make cgbench's own images, list them, and carry them to other hosts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cgbench.engine import image
from cgbench.engine.engine import Engine
from cgbench.errors import ImageError
from cgbench.host.scratch import ownership
from cgbench.measuring.site import Progress
from cgbench.records import writing
from cgbench.spec import workload


@dataclass(frozen=True)
class Listed:
    """An image of cgbench's own: `tag` is the whole reference of what its files make now.

    `size_bytes` is None where it is not built.
    """

    name: str
    tag: str
    size_bytes: int | None

    @property
    def built(self) -> bool:
        """Whether Docker has it."""
        return self.size_bytes is not None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self) | {"built": self.built}


def build(progress: Progress, names: Sequence[str] = ()) -> list[str]:
    """Build images unless they are there, by default that of the workloads; return their tags.

    `progress` shows each line. Raises ImageError, for a name that is none before any is built.
    """
    folder = workload.directory()
    contexts = {name: image.context_of(name, folder) for name in names or (image.WORKLOAD,)}
    owner = str(ownership.this_process())
    with closing(Engine()) as engine:
        return [
            image.build(engine.images, context, progress, owner, name)
            for name, context in contexts.items()
        ]


def listed() -> list[Listed]:
    """Return every image there is or could be, that of the workloads first."""
    folder = workload.directory()
    tags = {name: image.current(name, folder) for name in image.names(folder)}
    with closing(Engine()) as engine:
        return [Listed(name, tag, engine.images.size(tag)) for name, tag in tags.items()]


def save(file: Path | None, name: str = image.WORKLOAD) -> str:
    """Write an image as a tar to a file, or to standard output; return its tag.

    Raises ImageError where it is not built, and StoreError where it cannot be written.
    """
    tag = image.current(name, workload.directory())
    with closing(Engine()) as engine:
        if file is None:
            for part in engine.images.saved(tag):
                sys.stdout.buffer.write(part)
            sys.stdout.flush()
        else:
            with writing.whole(file) as out:
                for part in engine.images.saved(tag):
                    out.write(part)
    return tag


def load(file: Path | None, name: str = image.WORKLOAD) -> str:
    """Load an image from a tar that `save` wrote, or from standard input; return its tag.

    Raises ImageError where it is another image, or the file cannot be read.
    """
    tag = image.current(name, workload.directory())
    with closing(Engine()) as engine:
        if file is None:
            engine.images.load(sys.stdin.buffer, tag)
        else:
            try:
                with file.open("rb") as tar:
                    engine.images.load(tar, tag)
            except OSError as error:
                raise ImageError(f"cannot read {file}: {error.strerror}") from None
    return tag
