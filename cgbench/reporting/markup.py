"""Templates and the filters they use: plain text becomes HTML here, escaped, and nowhere else."""

from __future__ import annotations

import functools
import re

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from cgbench import wording
from cgbench.foreign import printable
from cgbench.reporting.pages import interaction_grid
from cgbench.reporting.words import fleet, states, truth_cells

_NUMBER_AND_UNIT = re.compile(r"(\d) (%|µs|ms|s\b|min\b|CPUs?\b|Hz\b|[KMG]iB\b)")


@functools.cache
def environment() -> Environment:
    """Return where pages find their templates and filters; made once, as are its templates."""
    found = Environment(
        loader=PackageLoader("cgbench.reporting"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_shown,
    )
    found.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    found.filters |= {
        "prose": prose,
        "breakable": breakable,
        "count": lambda one, noun: wording.count(one if isinstance(one, int) else len(one), noun),
        "css": _css_colour,
        "capitalised": wording.capitalised,
        "amount": wording.amount,
        "significant": wording.significant,
        "signed": wording.signed_percent,
        "quantity": truth_cells.value,
        "figure": truth_cells.figure,
        "band": truth_cells.band,
        "band_pct": truth_cells.band_pct,
        "metric": truth_cells.metric,
        "control": truth_cells.control,
        "parted": truth_cells.parted,
        "ms": truth_cells.milliseconds_or_dash,
        "tried": truth_cells.tried,
        "born": truth_cells.born,
        "stage": truth_cells.stage,
        "in_force": states.in_force,
        "state_declared": states.declared,
        "state_readings": states.readings,
        "state_words": states.words,
        "survived_value": truth_cells.survived_value,
        "departure": fleet.departure,
        "difference": interaction_grid.change,
    }
    return found


def prose(text: str) -> Markup:
    """Return text as HTML, escaped, with what stands in backticks as code.

    A number stays on one line with its unit.
    """
    parts = re.split(
        r"`([^`]*)`", _NUMBER_AND_UNIT.sub("\\1\N{NO-BREAK SPACE}\\2", printable(text))
    )
    return Markup("").join(
        _code(part) if index % 2 else escape(part) for index, part in enumerate(parts)
    )


def breakable(name: str) -> Markup:
    """Return a name as HTML, escaped, that a narrow column may break after `_` and `.`."""
    return Markup("<wbr>").join(
        escape(part) for part in re.split(r"(?<=[_.])(?=.)", printable(name))
    )


def _shown(value: object) -> object:
    """Return what a template prints: foreign text with its control characters made visible."""
    is_plain = isinstance(value, str) and not isinstance(value, Markup)
    return printable(str(value)) if is_plain else value


def _code(text: str) -> Markup:
    # One word is not broken at its dashes; a whole command line may be.
    kind = "" if " " in text else ' class="word"'
    return Markup("<code" + kind + ">{}</code>").format(text)


def _css_colour(name: str) -> str:
    """Return a colour's role as CSS; a place on the scale is mixed from its three stops."""
    if not name.startswith("@scale:"):
        return f"var(--{name.removeprefix('@')})"
    share = float(name.removeprefix("@scale:"))
    low, high, part = ("low", "mid", 2 * share) if share < 0.5 else ("mid", "high", 2 * share - 1)
    return f"color-mix(in srgb, var(--scale-{high}) {100 * part:.1f}%, var(--scale-{low}))"
