"""Texts as Plotly shows them: it takes a part of HTML in any text for markup, fields in some.

`drawable` escapes every text on its way into a page, but those made by `tagged` and the templates
of what a pointer shows. In these, `in_template` escapes what stands in them for a text.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup, escape

from cgbench.foreign import printable

_TEMPLATE = "hovertemplate"
_NO_TEXT = frozenset({bool, float, int, type(None)})


def tagged(template: str, *parts: str) -> Markup:
    """Return a text with tags of ours: each `{}` in it is replaced by a part, which has none."""
    return Markup(template).format(*map(printable, parts))


def in_template(text: str) -> str:
    """Return a text as it stands in a template of what a pointer shows, with fields of Plotly's."""
    return str(escape(printable(text))).replace("{", "&#123;")


def drawable(value: Any, key: str = "") -> Any:
    """Return a part of a plot in which every text is shown as it is."""
    if isinstance(value, Markup) or (isinstance(value, str) and key == _TEMPLATE):
        return str(value)
    if isinstance(value, str):
        return str(escape(printable(value)))
    if isinstance(value, dict):
        return {name: drawable(inner, name) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        # Nearly all there is are numbers, by the ten thousand.
        return [inner if type(inner) in _NO_TEXT else drawable(inner, key) for inner in value]
    return value
