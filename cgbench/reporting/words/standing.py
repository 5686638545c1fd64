"""What of a truth table does not count, and what changed since an earlier one, line by line."""

from __future__ import annotations

from collections.abc import Iterator

from cgbench.judging.standing import Changed, Standing


def lines(found: Standing) -> Iterator[str]:
    """Yield what changed, the worse first, then what is accepted, and what should not be any more.

    No line says anything where nothing was accepted and no earlier table given.
    """
    order = ("worse", "other", "better")
    for one in sorted(found.changed, key=lambda each: order.index(each.direction)):
        yield changed(one)
    for name in found.as_before:
        yield f"--{name}: as before"
    for known in found.accepted:
        yield (
            f"--{known.option}: {known.verdict.value} is known until {known.until.isoformat()}: "
            f"{known.reason}"
        )
    for known in found.expired:
        yield (
            f"--{known.option}: {known.verdict.value} was known until {known.until.isoformat()}, "
            f"which is over: {known.reason}"
        )
    yield from needless(found)


def needless(found: Standing) -> Iterator[str]:
    """Yield what is accepted of an option that has another verdict now."""
    bad = (*found.failing, *found.undecided)
    for known in found.unneeded:
        what = "change the entry, or mend it" if known.option in bad else "remove the entry"
        yield (
            f"--{known.option}: {known.verdict.value} is known, and it has another verdict now: "
            f"{what}"
        )


def changed(one: Changed) -> str:
    """Say what became of an option since the earlier table."""
    was = "not measured" if one.before is None else one.before.value
    label = "changed" if one.direction == "other" else one.direction
    if one.before is one.after:
        more = "more" if one.direction == "worse" else "less"
        return f"{label} since then: --{one.option} is {was} as before, and {more} of it fails"
    return f"{label} since then: --{one.option} {was} → {one.after.value}"


def excuses(found: Standing) -> dict[str, str]:
    """Return why an option that fails or is undecided does not count, by its name."""
    known = {
        one.option: f"known until {one.until.isoformat()}: {one.reason}" for one in found.accepted
    }
    return dict.fromkeys(found.as_before, "as in the earlier table") | known
