"""`cgbench image`: the images that containers are made of, of the workloads and of examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cgbench.cli import forms, options
from cgbench.cli.terminal import PRINTED, give_json, say
from cgbench.units import format_size

_Tar = Annotated[
    Path, typer.Argument(metavar="FILE", help="A tar file; - for the standard stream.")
]
_Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="An image that `cgbench image list` names."),
]
# As the engine calls it, which only a command imports.
_WORKLOAD = "workload"


def build(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Images that `cgbench image list` names."),
    ] = None,
) -> None:
    """Build the workload image or named examples, with a registry or without.

    Quick when they are there already.
    """
    from cgbench.commands import image

    for tag in image.build(lambda line: say(f"  {line}"), names or ()):
        say(tag)


def list_all(json_file: options.JsonFile = None) -> None:
    """List the images that can be built, and which of them are."""
    from cgbench.commands import image

    forms.require(json_file)
    found = image.listed()
    if give_json(lambda: [one.to_json() for one in found], json_file, indent=2):
        return
    for one in found:
        size = "not built" if one.size_bytes is None else format_size(one.size_bytes)
        say(f"{one.name:<10} {one.tag:<32} {size}")


def save(file: _Tar, name: _Name = _WORKLOAD) -> None:
    """Write an image as `docker save` does, for a host that can build none."""
    from cgbench.commands import image

    tag = image.save(forms.file_of(file), name)
    if file != PRINTED:
        say(f"{tag}: {file}")


def load(file: _Tar, name: _Name = _WORKLOAD) -> None:
    """Load an image that `cgbench image save` wrote on another host."""
    from cgbench.commands import image

    say(image.load(forms.file_of(file), name))
