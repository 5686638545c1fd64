"""A program of one's own in a file: of that program alone, or beside an experiment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cgbench.errors import WorkloadError
from cgbench.spec import toml_file
from cgbench.spec.program import Program

_NAME = re.compile(r"[a-z][a-z0-9-]*")


def read(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the name of the program that a file is of, and what the file says of it.

    Raises WorkloadError that names the file, and the key that is wrong.
    """
    document = toml_file.parse(toml_file.read(path, WorkloadError), str(path), WorkloadError)
    if "image" not in document:
        experiment = "containers" in document
        raise WorkloadError(
            f"{path}: no image is named"
            + (": it is the file of an experiment" if experiment else ""),
            'A file of a program begins with the image that it is in. For example: image = "nginx"',
        )
    name = document.pop("name", path.stem)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise WorkloadError(
            f"{path}: name: {toml_file.shortened(name)} is no name of lower-case letters, digits "
            "and dashes",
            'For example: name = "my-service"',
        )
    return name, _with_files(document, path.parent, str(path))


def load(path: Path) -> tuple[str, Program]:
    """Return the name and the program of a file. Raises WorkloadError that names what is wrong."""
    name, document = read(path)
    try:
        return name, Program.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise WorkloadError(f"{path}: {where}: {message}", _advice(where)) from None


def resolved(document: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return an experiment's document with the files that its programs name, read.

    A program may be the path of a file of its own, relative to the experiment's. Raises
    WorkloadError.
    """
    table = document.get("programs")
    if not isinstance(table, Mapping):
        return dict(document)
    folder = Path(origin).parent
    found: dict[str, Any] = {}
    for name, entry in table.items():
        if isinstance(entry, str):
            found[name] = read(folder / entry)[1]
        elif isinstance(entry, Mapping):
            found[name] = _with_files(dict(entry), folder, f"{origin}: programs.{name}")
        else:
            found[name] = entry
    return {**document, "programs": found}


def _with_files(document: dict[str, Any], folder: Path, origin: str) -> dict[str, Any]:
    """Return a program's document with the texts of the files that it names by their paths."""
    files = document.get("files")
    if not isinstance(files, Mapping):
        return document
    texts: dict[str, Any] = {}
    for inside, entry in files.items():
        if isinstance(entry, Mapping) and set(entry) == {"path"} and isinstance(entry["path"], str):
            try:
                texts[inside] = toml_file.read(folder / entry["path"], WorkloadError)
            except WorkloadError as error:
                advice = (
                    error.advice or "Its path is relative to the folder of the file that names it."
                )
                raise WorkloadError(f"{origin}: files: {error.message}", advice) from None
        else:
            texts[inside] = entry
    return {**document, "files": texts}


def _advice(where: str) -> str:
    known = ", ".join(Program.model_fields)
    return f"Keys of a program: name, {known}." if "." not in where else "Correct that key."
