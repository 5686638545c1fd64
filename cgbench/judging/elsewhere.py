"""Which measured host is most like another one, and what did not hold there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from cgbench.records.atlas import AtlasRow
from cgbench.records.elsewhere import Elsewhere, NotSo, Unlike
from cgbench.records.host_key import PARTS, HostKey, age

_VERSIONS = ("kernel", "engine", "runtime", "systemd")


def elsewhere(
    rows: Sequence[AtlasRow], key: HostKey, asked: Collection[str] | None = None
) -> Elsewhere | None:
    """Return what was measured on the host most like that of `key`; None where none is like it.

    Of those that differ in as many parts, the one with the nearest versions is.
    A host with another layout of cgroups is not: its limits are other files. `asked` are the
    options of interest, all where it is None.
    """
    like = [row for row in rows if row.key.layout == key.layout]
    if not like:
        return None
    keys = [key, *(row.key for row in rows)]
    order = {part: sorted({one.words(part) for one in keys}, key=age) for part in _VERSIONS}
    nearest = min(
        like, key=lambda row: (*_distance(row.key, key, order), -row.measured.toordinal())
    )  # fmt: skip
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


def _distance(
    there: HostKey, here: HostKey, order: Mapping[str, Sequence[str]]
) -> tuple[int, int, bool]:
    """Return in how many parts two hosts differ, and how many known versions lie between them.

    An emulated CPU is slow, and else like another.
    """
    differing = there.differing(here)
    between = sum(
        abs(known.index(there.words(part)) - known.index(here.words(part)))
        for part, known in order.items()
    )
    return len([part for part in differing if part != "emulated"]), between, "emulated" in differing
