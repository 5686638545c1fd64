"""What the first format of runs and baselines said otherwise, put into today's words at reading."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def with_note(document: Any, values: Iterable[object] = ()) -> Any:
    """Return the object of a point with its note apart from `requested`.

    The first format had no key `note` and wrote the note behind the value, after a blank. `values`
    are the settings, one of which was requested; without them the first blank divides, since no
    experiment of that time set a value with a blank in it.
    """
    if not isinstance(document, dict) or "note" in document or "requested" not in document:
        return document
    requested = str(document["requested"])
    known = [text for text in map(str, values) if f"{requested} ".startswith(f"{text} ")]
    value = max(known, key=len) if known else requested.partition(" ")[0]
    return document | {"requested": value, "note": requested.removeprefix(value).strip() or None}
