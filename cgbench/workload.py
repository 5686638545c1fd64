"""What runs in a container: its command, and which controller it presses.

Workloads are TOML files beside the Dockerfile of the image they share.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cgbench.errors import WorkloadError


class Workload(BaseModel):
    """One workload: `command` may hold the placeholders `{workers}` and `{probe}`.

    `probe` says that the command writes the probe's shared-memory file, mounted at `{probe}`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    summary: Annotated[str, Field(min_length=1)]
    controller: str
    command: Annotated[tuple[str, ...], Field(min_length=1)]
    probe: bool = True

    def argv(self, workers: int, probe: str) -> list[str]:
        """Return the command with its placeholders filled in."""
        filled = {"{workers}": str(workers), "{probe}": probe}
        return [filled.get(word, word) for word in self.command]


def directory() -> Path:
    """Return the folder with the Dockerfile and the workloads, in a wheel or a checkout."""
    package = Path(__file__).parent
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
    path = folder / f"{name}.toml"
    if not path.is_file():
        known = names(folder)
        near = difflib.get_close_matches(name, known, 1)
        advice = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known) or 'none'}."
        raise WorkloadError(f"unknown workload: {name}", advice)
    try:
        return Workload.model_validate(tomllib.loads(path.read_text()))
    except tomllib.TOMLDecodeError as error:
        raise WorkloadError(f"{path}: {error}", "Mend the TOML at that place.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise WorkloadError(f"cannot read {path}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WorkloadError(f"{path}: {where}: {first['msg']}") from None
