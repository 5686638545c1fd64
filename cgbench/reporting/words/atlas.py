"""What the page of the atlas says: what all hosts do alike, and what changes between neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cgbench.judging.atlas import Neighbours, OtherText
from cgbench.records.host_key import PARTS
from cgbench.records.verdict import Outcome
from cgbench.reporting.words.truth_cells import flags, listed
from cgbench.wording import count

_WORDS = {part.name: part.words for part in PARTS}


def headline(by_option: Mapping[str, Sequence[Outcome]], hosts: int) -> str:
    """Return how many options differ from host to host, and which are good everywhere.

    What was left open on a host differs from nothing.
    """
    total = len(by_option)
    differing = [
        name for name, found in by_option.items() if len(set(found) - {Outcome.INCONCLUSIVE}) > 1
    ]
    good = [name for name, found in by_option.items() if set(found) == {Outcome.EFFECTIVE}]
    if hosts == 1:
        return f"{count(total, 'option')} of `docker update`, as one host was measured."
    depend = f"depend{'s' if len(differing) == 1 else ''} on the host"
    words = f"{len(differing)} of {count(total, 'option')} of `docker update` {depend}"
    if good:
        does = (
            "does what it says wherever it was measured"
            if len(good) == 1
            else "do what they say wherever they were measured"
        )
        words += f"; {flags(good)} {does}"
    return f"{words}."


def changed(one: Neighbours) -> str:
    """Return from what to what two neighbours differ, as a heading."""
    before, after = (row.key.words(one.part) for row in (one.before, one.after))
    part = _WORDS[one.part]
    # Programs are named with their versions; of other parts the name says what they are.
    prefix = "" if one.part in ("engine", "runtime") else f"{part} "
    return f"{prefix}{before} → {after}"


def outcome(one: Neighbours) -> str:
    """Return how much of what both were measured for comes out otherwise."""
    total, number = len(one.compared), len(one.differences)
    verb = "differs" if number == 1 else "differ"
    said = f"{number} of {count(total, 'verdict')} {verb}"
    if not number:
        said = f"All {count(total, 'verdict')} are the same"
    if one.texts:
        said += f"; after {count(len(one.texts), 'update')} a file holds another text"
    return f"{said}."


def text(one: OtherText) -> str:
    """Return a value, its file, and the file's texts on both neighbours."""
    before, after = (
        "absent" if held is None else held or "empty" for held in (one.before, one.after)
    )
    return f"--{one.option} {one.value}: {one.file} {before} → {after}"


def everywhere(hosts: Sequence[str], total: int) -> str:
    """Return on which hosts something is so."""
    if len(hosts) == total and total > 1:
        return f"on all {total} hosts"
    return f"on {listed(list(hosts))}"
