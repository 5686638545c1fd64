"""The base of every document's models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A noun of a document: frozen, with no key that it does not know, and no NaN for a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
