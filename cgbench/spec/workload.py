"""What runs in a container: its command, and which controller it presses.

Workloads are TOML files beside the Dockerfile of the image they share.
"""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from cgbench.errors import WorkloadError
from cgbench.spec import toml_file
from cgbench.spec.fields import Moves, Name, Size, Title
from cgbench.spec.model import Model

ProbeKind = Literal["spin", "wake", "memory", "cache", "fork", "end", "request"]
"""What the probe does, in the order of its numbers in the file; see workloads/probe.py."""


@dataclass(frozen=True)
class Placeholders:
    """What the placeholders of a command stand for in one container; all but the first are paths.

    `probe` is the probe's shared-memory file, `device` a block device that may be overwritten,
    `scratch` a file on a disk that may be made, and `shared` one in memory that other containers
    may share. None where the container has no such thing.
    """

    workers: int
    probe: str | None = None
    device: str | None = None
    scratch: str | None = None
    shared: str | None = None


class Workload(Model):
    """One workload: `command` may hold placeholders, such as `{workers}`, as whole words.

    `probe` is what the probe does if it is what the command runs, else None. `moves` is what it
    only does with its device, in requests of `block` bytes, `depth` of them at once; None where it
    does both, or neither. With `spread`, each worker keeps to one CPU of those offered; what
    `waits` ends after its pace as the first judged change of its trial was answered.
    """

    name: Name
    summary: Title
    controller: Name
    command: Annotated[tuple[Title, ...], Field(min_length=1, max_length=64)]
    probe: ProbeKind | None = None
    moves: Moves | None = None
    block: Size | None = None
    depth: Annotated[int, Field(ge=1)] = 1
    spread: bool = False
    waits: bool = False

    def needs(self, placeholder: str) -> bool:
        """Say whether the command holds a placeholder, named without its braces."""
        return f"{{{placeholder}}}" in self.command

    def argv(self, placeholders: Placeholders) -> list[str]:
        """Return the command with its placeholders filled in.

        Raises WorkloadError when it needs something that the container does not have.
        """
        filled = {f"{{{name}}}": value for name, value in vars(placeholders).items()}
        words = []
        for word in self.command:
            value = filled.get(word, word)
            if value is None:
                raise WorkloadError(f"workload {self.name} needs a {word[1:-1]}, and has none")
            words.append(str(value))
        return words


def directory() -> Path:
    """Return the folder with the Dockerfile and the workloads, in a wheel or a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "workloads"
    return installed if installed.is_dir() else package.parent / "workloads"


def names(folder: Path) -> list[str]:
    """Return the names of the workloads in `folder`, sorted."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def load(name: str, folder: Path | None = None) -> Workload:
    """Load the workload called `name`.

    Raises WorkloadError when there is none (with the nearest name) or it is malformed.
    """
    folder = folder or directory()
    known = names(folder)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        advice = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known) or 'none'}."
        raise WorkloadError(f"unknown workload: {name}", advice)
    path = folder / f"{name}.toml"
    return _parsed(toml_file.read(path, WorkloadError), str(path))


@functools.lru_cache(maxsize=64)
def _parsed(text: str, path: str) -> Workload:
    """Parse and check the text of a workload, once: it is frozen."""
    document = toml_file.parse(text, path, WorkloadError)
    try:
        return Workload.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WorkloadError(f"{path}: {where}: {first['msg']}") from None


CONTAINER_USER = 65534
"""`nobody`: stress containers never run as root."""
