"""What else is said of a container's limits: by Docker's own record, and by other files."""

from __future__ import annotations

from cgbench.spec.fields import Foreign, Label, Name
from cgbench.spec.model import Model


class Inspected(Model):
    """What `docker inspect` declares of an option that was set: when the phase ended (`held`).

    Of an option that no kernel has a file for also `before` the request and `after` the answer.
    None where it says nothing.
    """

    option: Name
    asked: Foreign
    before: Foreign | None = None
    after: Foreign | None = None
    held: Foreign | None = None


class Unasked(Model):
    """An interface file that changed in a phase though no option that it holds was set on `role`.

    `before` is its text at the request, `held` when the phase ended.
    """

    role: Name
    file: Label
    before: Foreign
    held: Foreign
