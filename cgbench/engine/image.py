"""The workload image: its tag, and how it is made, with a registry or without.

The Dockerfile is the one source of truth. Its `COPY` lines say which files make the image what it
is, so the digest of those is the tag; its `FROM` line names the base, which comes from a registry
where one answers and from debootstrap where none does.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from cgbench.engine import base_image
from cgbench.errors import ImageError

REPOSITORY = "cgbench/workload"
PULL_TIMEOUT_S = 60.0
"""How long a registry may take over the base (30 MB) before it is made here instead."""


class Images(Protocol):
    """What building the image asks of Docker."""

    def has_image(self, reference: str) -> bool:
        """Say whether Docker has an image of that name."""
        ...

    def pull(self, reference: str, timeout_s: float) -> bool:
        """Fetch an image; False when the registry does not give it within `timeout_s`."""
        ...

    def import_image(self, tar: BinaryIO, reference: str) -> None:
        """Make an image out of a root file system."""
        ...

    def build(self, context: Path, tag: str, log: Callable[[str], None]) -> None:
        """Build the Dockerfile in `context`. Raises ImageError."""
        ...


def is_ours(reference: str) -> bool:
    """Say whether a name is one that `tag` returns."""
    return re.fullmatch(rf"{REPOSITORY}:[0-9a-f]{{12}}", reference) is not None


def tag(context: Path) -> str:
    """Return the name of the image that `context` makes: a digest of everything that goes into it.

    Raises ImageError when the Dockerfile, or a file that it copies, cannot be read.
    """
    digest = hashlib.sha256()
    for name in _inputs(context):
        content = _read(context / name)
        # The lengths keep "ab" + "c" apart from "a" + "bc".
        digest.update(f"{len(name)} {name} {len(content)}\n".encode())
        digest.update(content)
    return f"{REPOSITORY}:{digest.hexdigest()[:12]}"


def build(images: Images, context: Path, log: Callable[[str], None], owner: str) -> str:
    """Make sure that the image which `context` describes exists, and return its tag.

    `owner` names this process where what it leaves may have to be removed later.
    Costs one question to Docker when it exists already. Raises ImageError when it cannot be made.
    """
    reference = tag(context)
    if images.has_image(reference):
        return reference
    base = _base(context)
    if not images.has_image(base):
        log(f"Fetching {base} from its registry")
        if not images.pull(base, PULL_TIMEOUT_S):
            log(f"No registry answers; making {base} with debootstrap")
            base_image.make(base, images.import_image, log, owner)
    log(f"Building {reference}")
    images.build(context, reference, log)
    return reference


def _inputs(context: Path) -> list[str]:
    """Return the files that go into the image, by their sorted names relative to `context`."""
    names = {"Dockerfile"}
    for keyword, words in _instructions(context):
        if keyword not in {"COPY", "ADD"} or any(word.startswith("--from=") for word in words):
            continue
        for source in [word for word in words if not word.startswith("--")][:-1]:
            found = [
                file
                for match in context.glob(source.strip("/"))
                for file in ([match] if match.is_file() else match.rglob("*"))
                if file.is_file()
            ]
            if not found:
                raise ImageError(
                    f"{context / 'Dockerfile'} copies {source}, which is not there",
                    "Restore the file, or correct the COPY line.",
                )
            names.update(file.relative_to(context).as_posix() for file in found)
    return sorted(names)


def _base(context: Path) -> str:
    """Return the image that the Dockerfile starts from."""
    for keyword, words in _instructions(context):
        if keyword == "FROM":
            return next(word for word in words if not word.startswith("--"))
    raise ImageError(f"{context / 'Dockerfile'} has no FROM line", "Name its base image.")


def _instructions(context: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the Dockerfile's instructions as a keyword and its words."""
    text = _read(context / "Dockerfile").decode()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        keyword, _, rest = line.strip().partition(" ")
        if keyword.upper() in {"FROM", "COPY", "ADD"}:
            yield keyword.upper(), shlex.split(rest)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ImageError(
            f"cannot read {file}: {error.strerror}", "The image is made from this file."
        ) from error
