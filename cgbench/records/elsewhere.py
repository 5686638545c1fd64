"""What was measured on the host of the atlas that is most like the one that is asked about."""

from __future__ import annotations

from datetime import date

from cgbench.spec.fields import Foreign, Label, Name, Title
from cgbench.spec.model import Model


class Unlike(Model):
    """One part of a host key that differs: what it is there and here, None where not recorded."""

    part: Label
    there: Foreign | None
    here: Foreign | None


class NotSo(Model):
    """An option of which Docker said there what was not so: its verdict there, and why."""

    option: Name
    verdict: Label
    reason: Foreign


class Elsewhere(Model):
    """A row of the atlas, as far as it concerns another host.

    `options` are all that were measured there and are asked about, `not_so` those that failed.
    """

    row: Name
    title: Title
    measured: date
    unlike: tuple[Unlike, ...]
    options: tuple[Name, ...]
    not_so: tuple[NotSo, ...]
