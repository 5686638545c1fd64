"""The picture of the rooms: which imports which, drawn from the imports alone.

Rooms stand on a staircase. An arrow leaves a room to the right and turns down into the room that is
imported; an import against the layers would turn up and is drawn in red.
"""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import grimp

from tests.docs.reference.markdown import code, table

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "pictures" / "rooms.svg"
GROUND = "ground"
"""The modules that lie in no room, below all of them."""

# Each side's rooms stand together; nothing else depends on the order.
_ORDER = (
    "cli", "commands", "reporting", "judging", "measuring", "fleet", "engine", "host",
    "records", "spec",
    GROUND,
)  # fmt: skip
_FILLS = {
    "reporting": "#dbeafe", "judging": "#dbeafe",
    "measuring": "#ffedd5", "fleet": "#ffedd5", "engine": "#ffedd5", "host": "#ffedd5",
}  # fmt: skip
_SHARED_FILL = "#f1f5f9"
_LEGEND = (
    ("#dbeafe", "reads files: no Docker, no root, no Linux"),
    ("#ffedd5", "measures: Docker, the kernel, the host"),
    (_SHARED_FILL, "shared, or the only rooms that know both sides"),
)

_COLUMN, _ROW, _WIDTH, _HEIGHT, _EDGE = 108, 58, 102, 34, 16

Arrow = tuple[str, str]


def levels() -> dict[str, int]:
    """Return the level of each room by the layers contract, 0 at the top; ground is one room."""
    (layers,) = [one["layers"] for one in _contracts() if one["type"] == "layers"]
    found = {room: level for level, line in enumerate(layers[:-1]) for room in line.split(" | ")}
    return found | {GROUND: len(layers) - 1}


def libraries() -> dict[str, list[str]]:
    """Return the libraries that have their home in each room, by the contracts."""
    found: dict[str, list[str]] = {}
    for one in _contracts():
        if one["type"] == "protected":
            (home,) = one["allowed_importers"]
            found.setdefault(home.removeprefix("cgbench."), []).extend(one["protected_modules"])
    return found


def table_of_rooms() -> str:
    """Return a table of the rooms: what is in each, and which libraries have their home there."""
    homes = libraries()
    rows = []
    for room in _ORDER[:-1]:
        text = (ROOT / "cgbench" / room / "__init__.py").read_text()
        docstring = ast.get_docstring(ast.parse(text)) or ""
        rows.append((code(room), docstring.rstrip("."), ", ".join(homes.get(room, ())) or "–"))
    return table(("room", "what is in it", "its libraries"), rows)


def arrows() -> dict[Arrow, int]:
    """Return how many imports lead from one room to another."""
    graph = grimp.build_graph("cgbench", cache_dir=None)
    counted: Counter[Arrow] = Counter()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            above, below = _room(module), _room(imported)
            if above != below and "" not in (above, below):
                counted[above, below] += 1
    return dict(sorted(counted.items()))


def against(found: Mapping[Arrow, int], level: Mapping[str, int]) -> list[Arrow]:
    """Return the arrows that do not lead to a lower level."""
    return [(above, below) for above, below in found if level[above] >= level[below]]


def _contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contracts: list[dict[str, Any]] = settings["contracts"]
    return contracts


def _room(module: str) -> str:
    """Return a module's room; none for the package itself and for `python -m cgbench`."""
    name = [*module.split("."), ""][1]
    if name in ("", "__main__"):
        return ""
    return name if name in _ORDER else GROUND


def drawn(found: Mapping[Arrow, int], level: Mapping[str, int]) -> str:
    """Return the picture as SVG."""
    width = _EDGE * 2 + _COLUMN * (len(_ORDER) - 1) + _WIDTH
    height = _EDGE * 2 + _ROW * (len(_ORDER) - 1) + _HEIGHT
    wrong = against(found, level)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, sans-serif" font-size="16" role="img" '
        'aria-labelledby="title">',
        '<title id="title">The ten rooms of cgbench, and how many imports lead from one to '
        "another. All arrows lead down.</title>"
        if not wrong
        else '<title id="title">The rooms of cgbench. Some imports lead up.</title>',
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 L10 5 L0 10 z" fill="#64748b"/></marker>'
        '<marker id="wrong" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 L10 5 L0 10 z" fill="#dc2626"/></marker>'
        "</defs>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    parts += [_line(one, one in wrong) for one in found]
    parts += [_number(one, number, one in wrong) for one, number in found.items()]
    parts += [_box(room) for room in _ORDER]
    parts += _legend(height)
    return "\n".join([*parts, "</svg>", ""])


def _corner(room: str) -> tuple[int, int]:
    step = _ORDER.index(room)
    return _EDGE + step * _COLUMN, _EDGE + step * _ROW


def _bend(arrow: Arrow) -> tuple[int, int]:
    """Return where an arrow turns: in the row of its room, the column of the imported one."""
    return _corner(arrow[1])[0] + _WIDTH // 2, _corner(arrow[0])[1] + _HEIGHT // 2


def _line(arrow: Arrow, wrong: bool) -> str:
    above, below = (_corner(room) for room in arrow)
    x, y = _bend(arrow)
    down = below[1] > above[1]
    begin = above[0] + (_WIDTH if down else 0)
    end = below[1] if down else below[1] + _HEIGHT
    colour, head = ("#dc2626", "wrong") if wrong else ("#94a3b8", "head")
    return (
        f'<path d="M{begin} {y} H{x} V{end}" fill="none" stroke="{colour}" '
        f'stroke-width="2" marker-end="url(#{head})"/>'
    )


def _number(arrow: Arrow, number: int, wrong: bool) -> str:
    x, y = _bend(arrow)
    colour = "#dc2626" if wrong else "#334155"
    return (
        f"<g><title>{arrow[0]} imports {arrow[1]}: {number}</title>"
        f'<circle cx="{x}" cy="{y}" r="14" fill="#ffffff" stroke="#cbd5e1"/>'
        f'<text x="{x}" y="{y + 5}" text-anchor="middle" font-size="14" fill="{colour}">'
        f"{number}</text></g>"
    )


def _box(room: str) -> str:
    x, y = _corner(room)
    return (
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" '
        f'fill="{_FILLS.get(room, _SHARED_FILL)}" stroke="#64748b"/>'
        f'<text x="{x + _WIDTH // 2}" y="{y + _HEIGHT // 2 + 5}" text-anchor="middle" '
        f'fill="#0f172a">{escape(room)}</text>'
    )


def _legend(height: int) -> list[str]:
    lines = [
        "A room imports the rooms that its arrows lead to; a number where",
        "an arrow turns counts the imports. ground: errors, foreign, programs, units, wording.",
    ]
    top = height - _EDGE - 24 * (len(lines) + len(_LEGEND)) + 8
    parts = [
        f'<text x="{_EDGE}" y="{top + 24 * place}" fill="#334155">{escape(line)}</text>'
        for place, line in enumerate(lines)
    ]
    for place, (fill, words) in enumerate(_LEGEND, len(lines)):
        y = top + 24 * place
        parts.append(
            f'<rect x="{_EDGE}" y="{y - 12}" width="20" height="14" rx="3" fill="{fill}" '
            f'stroke="#64748b"/><text x="{_EDGE + 28}" y="{y}" fill="#334155">'
            f"{escape(words)}</text>"
        )
    return parts


def write() -> list[Path]:
    """Draw the picture anew; return it if it changed."""
    text = drawn(arrows(), levels())
    if PICTURE.exists() and PICTURE.read_text() == text:
        return []
    PICTURE.write_text(text)
    return [PICTURE]
