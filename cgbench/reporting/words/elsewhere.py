"""What was measured on another host, said as what it is: measured elsewhere, and not here."""

from __future__ import annotations

from cgbench.records.elsewhere import Elsewhere, Unlike
from cgbench.wording import count

ADVICE = "Measured there, not here. Of this host: cgbench verify; all hosts: cgbench atlas."


def headline(found: Elsewhere) -> str:
    """Return in one sentence which host it is, how it differs, and how many options failed."""
    said = f"{len(found.not_so)} of {count(len(found.options), 'option')} did not hold"
    if not found.not_so:
        said = f"all of {count(len(found.options), 'option')} held"
    return f"of the measured hosts {found.row} is most like this one ({_unlike(found)}): {said}"


def not_so(found: Elsewhere) -> list[str]:
    """Return a line for each option of which Docker said there what was not so."""
    return [f"--{one.option}: {one.verdict}: {one.reason}" for one in found.not_so]


def flags(found: Elsewhere) -> str:
    """Return the options that failed, each with its verdict, in one line."""
    return ", ".join(f"--{one.option} {one.verdict}" for one in found.not_so)


def _unlike(found: Elsewhere) -> str:
    return "; ".join(map(_part, found.unlike)) or "the same in every part that is told apart"


def _part(one: Unlike) -> str:
    there, here = one.there or "not recorded", one.here or "not recorded"
    return f"{one.part} {there}, here {here}"
