"""A daemon's images as one that only takes notes, and a debootstrap that makes a small system."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

# debootstrap is called as: --variant=minbase --force-check-gpg SUITE DIRECTORY [MIRROR]
MAKE_A_SYSTEM = """
tree=$4
mkdir -p $tree/etc $tree/bin $tree/var/lib/apt/lists $tree/var/cache/apt/archives
echo of-the-host >$tree/etc/resolv.conf
echo root:x:0:0 >$tree/etc/passwd
echo big >$tree/var/cache/apt/archives/some.deb
echo big >$tree/var/lib/apt/lists/Packages
echo "I: Base system $3 installed successfully."
"""


class Notes:
    """A daemon that has some images, and notes what it is asked to do."""

    def __init__(self, *images: str, registry: bool = False) -> None:
        self.images = set(images)
        self.registry = registry
        self.done: list[str] = []
        self.tar = b""

    def has_image(self, reference: str) -> bool:
        return reference in self.images

    def pull(self, reference: str, timeout_s: float) -> bool:
        assert 0 < timeout_s <= 120
        self.done.append(f"pull {reference}")
        if self.registry:
            self.images.add(reference)
        return self.registry

    def import_image(self, tar: BinaryIO, reference: str) -> None:
        self.done.append(f"import {reference}")
        self.tar = tar.read()
        self.images.add(reference)

    def build(self, context: Path, tag: str, log: Callable[[str], None]) -> None:
        assert (context / "Dockerfile").exists()
        self.done.append(f"build {tag}")
        self.images.add(tag)
