"""By which rules rows were computed: a digest that changes whenever a formula may have."""

from __future__ import annotations

import functools
import hashlib
from importlib import resources

from cgbench import __version__

_PLACES = ("judging", "spec")


@functools.cache
def digest() -> str:
    """Return the digest of this cgbench's rules.

    It is made from the source of all that rows are computed by, read and not imported: nobody has
    to remember to raise a number, and rows of other formulas are never taken for today's. That
    it also changes with a comment costs no more than computing the rows of a run once more.
    """
    found = hashlib.sha256(__version__.encode())
    package = resources.files("cgbench")
    files = [
        package / "units.py",
        *(one for place in _PLACES for one in (package / place).iterdir()),
    ]
    for file in sorted(files, key=lambda one: one.name):
        if file.name.endswith(".py"):
            found.update(file.read_bytes())
    return found.hexdigest()[:16]
