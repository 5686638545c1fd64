"""What an interface file held over a phase, as the sampler saw it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from cgbench.spec.fields import Foreign
from cgbench.spec.model import Model

Count = Annotated[int, Field(ge=0, lt=2**63)]
"""How many there were; also a time stamp, in ns."""

_KEPT = 16


class Stood(Model):
    """A text, and when the first reading that shows it began; None where nothing could be read."""

    t_ns: Count
    text: Foreign | None


class FileHistory(Model):
    """The texts of a file one after the other, from the one at the request to the phase's end.

    Of a file that is rewritten all the time the first and the last are kept; `left_out` counts the
    others.
    """

    readings: Annotated[tuple[Stood, ...], Field(max_length=2 * _KEPT)]
    left_out: Count = 0

    @classmethod
    def of(cls, readings: Sequence[Stood]) -> FileHistory:
        """Return the history of a file that held these texts."""
        if len(readings) <= 2 * _KEPT:
            return cls(readings=tuple(readings))
        kept = (*readings[:_KEPT], *readings[-_KEPT:])
        return cls(readings=kept, left_out=len(readings) - len(kept))

    @property
    def texts(self) -> tuple[str | None, ...]:
        """The texts alone."""
        return tuple(one.text for one in self.readings)

    def took_hold_ns(self, expected: str | None) -> int | None:
        """Return when the file first held what is expected, or if it never did any new text.

        None where it held that at the request, or never changed.
        """
        if expected is not None and expected in self.texts:
            first = self.texts.index(expected)
        else:
            first = next((at for at, text in enumerate(self.texts) if at and text is not None), 0)
        return self.readings[first].t_ns if first else None
