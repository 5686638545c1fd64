"""Text from outside, made safe to show: the one gate before a terminal, a page or a report.

Host names, a container's log lines, the daemon's words and whatever a file holds may steer a
terminal, hide text from a reader, or end the markup that they stand in. It imports nothing of
cgbench, so that everything may use it.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST = 4000
"""How many characters of a foreign text are kept; in the middle of a longer one stands `…`."""

# Controls, format characters such as the marks that turn the direction of writing, halves of
# characters, and the separators that some programs take for the end of a line.
_OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_SUSPECT = re.compile(r"[^\n\t\x20-\x7e]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"[^\S ]")
# What Markdown or HTML in it would take for markup.
_MARKUP = re.compile(r"[\\`*~<>\[\]|&]|(?<![^\W_])_|_(?![^\W_])|^(?=[#+-])")


def printable(text: str) -> str:
    """Return `text` with everything escaped that a terminal would obey instead of showing.

    Line ends and tabs stay. The result is also what XML allows.
    """
    return text if _plain(text) else _SUSPECT.sub(_shown, text)


def one_line(text: str, most: int = LONGEST) -> str:
    """Return `text` as `printable` does, on one line and without the middle of what is long."""
    if _plain(text):
        return shortened(text.strip(), most)
    return shortened(printable(_SPACE.sub(" ", text.strip())), most)


def shortened(text: str, most: int = LONGEST) -> str:
    """Return the two ends of a text of more than `most` characters."""
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 4 :]}"


def storable(text: str) -> str:
    """Return a text as a record keeps it: as it came, but encodable, and not too long."""
    return shortened(text if text.isascii() else _SURROGATE.sub(_escaped, text))


def markdown(text: str) -> str:
    """Return `text` as Markdown that shows it as it is, on one line."""
    return _MARKUP.sub(lambda found: f"\\{found.group()}", one_line(text))


def markdown_code(text: str) -> str:
    """Return `text` as code in a table of Markdown, on one line."""
    # Within a table a pipe needs its backslash even in code.
    return "`" + one_line(text).replace("`", "'").replace("|", "\\|") + "`"


def _plain(text: str) -> bool:
    """Say whether a text holds what ASCII can print and nothing else, as nearly all do."""
    return text.isascii() and text.isprintable()


def _shown(found: re.Match[str]) -> str:
    character = found.group()
    # The last two of each plane are no characters; XML refuses two of them.
    nothing = ord(character) & 0xFFFE == 0xFFFE
    obeyed = nothing or unicodedata.category(character) in _OBEYED
    return _escaped(found) if obeyed else character


def _escaped(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape", "surrogatepass").decode("ascii")
