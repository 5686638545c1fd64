"""Every relative link in the README and the manual leads somewhere, anchors too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, ROOT, pages

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"^\s*```.*?^\s*```|`[^`\n]*`", re.DOTALL | re.MULTILINE)
PAGES = pages()


def links(page: str) -> list[str]:
    """Return the targets of a page's links and pictures that lead to files; code has none."""
    bare = _CODE.sub(lambda found: "x" if "\n" not in found[0] else "", page)
    return [one for one in _LINK.findall(bare) if not one.startswith(("http://", "https://"))]


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings, as forges and MkDocs both make them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", _fenced(page), re.MULTILINE):
        words = re.sub(r"[^\w\s-]", "", heading.replace("`", "").lower()).strip()
        found.add(re.sub(r"[\s]+", "-", words))
    return found


def _fenced(page: str) -> str:
    return re.sub(r"^\s*```.*?^\s*```", "", page, flags=re.DOTALL | re.MULTILINE)


def dead(path: Path, page: str) -> list[str]:
    """Return the links of a page that lead nowhere."""
    found = []
    for link in links(page):
        target, _, anchor = link.partition("#")
        other = (path.parent / target).resolve() if target else path
        if not other.exists() or (anchor and anchor not in anchors(other.read_text())):
            found.append(link)
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_link_is_dead(path: Path) -> None:
    assert dead(path, path.read_text()) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("# One\n\n[a](page.md#one) [b](#two) [c](none.md) `[d](e)` [f](https://x.y)\n")
    assert dead(path, path.read_text()) == ["#two", "none.md"]


def test_the_manual_stands_by_itself() -> None:
    # The site has no other files: a link out of it would be dead there.
    for path in DOCS.rglob("*.md"):
        for link in links(path.read_text()):
            target = (path.parent / link.partition("#")[0]).resolve()
            assert target.is_relative_to(DOCS), f"{path}: {link}"


def test_every_picture_is_shown() -> None:
    shown = {
        (path.parent / link).resolve() for path in PAGES for link in links(path.read_text())
        if "pictures/" in link
    }  # fmt: skip
    assert shown == set((DOCS / "pictures").iterdir())


def test_no_two_headings_of_a_page_share_an_anchor() -> None:
    # GitHub and MkDocs number them differently, so a link to the second could not be right in both.
    for path in PAGES:
        headings = re.findall(r"^#+ (.+)$", _fenced(path.read_text()), re.MULTILINE)
        assert len({one.lower() for one in headings}) == len(headings), path


def test_the_navigation_has_every_page() -> None:
    listed = re.findall(r": ([a-z0-9/-]+\.md)$", (DOCS / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(
        path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")
    )
