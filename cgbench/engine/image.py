"""cgbench's own images: their tags, and how they are made, with a registry or without.

A Dockerfile is the one source of truth. Its `COPY` lines say which files make the image what it
is, so the digest of those is the tag; its `FROM` line names the base, which comes from a registry
where one answers and from debootstrap where none does.

One image all workloads share: it is called `workload`, and its Dockerfile lies beside them. Each
example program has one of its own, which is called as the folder there that its Dockerfile is in.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from cgbench.engine import base_image
from cgbench.errors import ImageError

WORKLOAD = "workload"
"""What the image that all workloads share is called."""

PULL_TIMEOUT_S = 60.0
"""How long a registry may take over the base (30 MB) before it is made here instead."""

_OURS = "cgbench/"
_TAG = re.compile(rf"{_OURS}[a-z0-9]+(-[a-z0-9]+)*:[0-9a-f]{{12}}")


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
    """Say whether a reference is one that `tag` returns."""
    return _TAG.fullmatch(reference) is not None


def missing(reference: str) -> ImageError:
    """Return the error that says that Docker has no such image, and how it gets there."""
    name = _name(reference)
    if name is None:
        advice = f"Get it: docker pull {reference}."
    elif name == WORKLOAD:
        advice = "Build it: cgbench image build."
    else:
        advice = f"Build it: cgbench image build {name}."
    return ImageError(f"the image {reference} is missing", advice)


def names(folder: Path) -> list[str]:
    """Return what the images are called that `folder` holds, that of the workloads first."""
    return [WORKLOAD, *sorted(file.parent.name for file in folder.glob("*/Dockerfile"))]


def context_of(name: str, folder: Path) -> Path:
    """Return where the Dockerfile of an image of `folder` lies.

    Raises ImageError when there is none that is called `name`, with the nearest.
    """
    known = names(folder)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        advice = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."
        raise ImageError(f"cgbench has no image {name}", advice)
    return folder if name == WORKLOAD else folder / name


def current(name: str, folder: Path) -> str:
    """Return the reference of an image of `folder` as its files are now. Raises ImageError."""
    return tag(context_of(name, folder), name)


def resolved(images: Images, reference: str, folder: Path) -> str:
    """Return what Docker knows an image by: `cgbench/NAME` stands for its current reference.

    Any other reference is returned as it is. Raises ImageError where cgbench has no image of that
    name, or has not built it yet.
    """
    name = _name(reference)
    if name is None or reference != _OURS + name:
        return reference
    found = current(name, folder)
    if not images.has_image(found):
        raise missing(found)
    return found


def tag(context: Path, name: str = WORKLOAD) -> str:
    """Return the reference of what `context` makes: `name`, and a digest of all that goes into it.

    Raises ImageError when the Dockerfile, or a file that it copies, cannot be read.
    """
    digest = hashlib.sha256()
    for file in _inputs(context):
        content = _read(context / file)
        # The lengths keep "ab" + "c" apart from "a" + "bc".
        digest.update(f"{len(file)} {file} {len(content)}\n".encode())
        digest.update(content)
    return f"{_OURS}{name}:{digest.hexdigest()[:12]}"


def build(
    images: Images, context: Path, log: Callable[[str], None], owner: str, name: str = WORKLOAD
) -> str:
    """Make sure that the image which `context` describes exists, and return its reference.

    `owner` names this process where what it leaves may have to be removed later.
    Costs one question to Docker when it exists already. Raises ImageError when it cannot be made.
    """
    reference = tag(context, name)
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


def _name(reference: str) -> str | None:
    """Return what an image of cgbench's own is called, None for any other."""
    if not reference.startswith(_OURS):
        return None
    return re.split("[:@]", reference.removeprefix(_OURS), maxsplit=1)[0]


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
