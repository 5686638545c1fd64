"""Which measured host is most like another one, and what did not hold there."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cgbench.records.atlas import AtlasRow
from cgbench.records.elsewhere import Elsewhere, NotSo, Unlike
from cgbench.records.host_key import PARTS, HostKey


def elsewhere(
    rows: Sequence[AtlasRow], key: HostKey, asked: Collection[str] | None = None
) -> Elsewhere | None:
    """Return what was measured on the host most like that of `key`; None where none is like it.

    A host with another layout of cgroups is not: its limits are other files. `asked` are the
    options of interest, all where it is None.
    """
    like = [row for row in rows if row.key.layout == key.layout]
    if not like:
        return None
    nearest = min(like, key=lambda row: (_distance(row.key, key), -row.measured.toordinal()))
    measured = [
        one for one in nearest.table.rows if asked is None or one.verdict.option in asked
    ]  # fmt: skip
    words = {part.name: part.words for part in PARTS}
    return Elsewhere(
        row=nearest.name,
        title=nearest.title,
        measured=nearest.measured,
        unlike=tuple(
            Unlike(
                part=words[part],
                there=nearest.key.words(part) or None,
                here=key.words(part) or None,
            )
            for part in nearest.key.differing(key)
        ),
        options=tuple(one.verdict.option for one in measured),
        not_so=tuple(
            NotSo(
                option=one.verdict.option,
                verdict=one.verdict.verdict.value,
                reason=one.verdict.reason,
            )
            for one in measured
            if one.fails
        ),
    )


def _distance(there: HostKey, here: HostKey) -> tuple[int, bool]:
    """Return in how many parts two hosts differ; an emulated CPU is slow, and else like another."""
    differing = there.differing(here)
    return len([part for part in differing if part != "emulated"]), "emulated" in differing
