"""The base of every document's models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

LONGEST_TEXT = 100_000
"""How many characters a text may have for which its key sets no bound of its own."""


class Model(BaseModel):
    """A noun of a document: frozen, with no unknown key, no NaN for a number, no endless text."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, str_max_length=LONGEST_TEXT
    )
