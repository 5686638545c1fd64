"""A page opened in Chromium, and what went wrong or out on the way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request

WIDTHS = (1400, 400)
THEMES = ("light", "dark")
OPENED = (((400, "light"), (400, "dark")), ((1400, "dark"), (1400, "light")))
"""How a page is seen that tests leave as it was: opened in the first of each, then changed."""

PATIENCE_MS = 120_000
LIBRARY_LINE = 10_000
FITTED = """() => {
    const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
    return [...document.querySelectorAll(".chart")].every(({ _fullLayout, clientWidth }) =>
        !_fullLayout || !clientWidth || (
            Math.abs(_fullLayout.width - clientWidth) < 1 && _fullLayout.font.color === ink));
}"""
"""Whether each plot that is to be seen has the width of its place and the colour of the theme."""


def aligned(page: str) -> str:
    """Return a page with empty lines before its first script, which then begins at one line in all.

    Chromium keeps what it compiled of a script by its text, address and line.
    """
    before, script, after = page.partition("<script>")
    return before + "\n" * (LIBRARY_LINE - before.count("\n")) + script + after


class Visit:
    """A page that was opened, and what went wrong or out on the way."""

    def __init__(self, page: Page, file: Path, width: int, theme: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._seen_in = (width, theme)
        # The page before must not draw itself anew for this one's width and theme.
        page.goto("about:blank")
        self._set(width, theme)
        page.on("console", self._console)
        page.on("pageerror", self._error)
        page.on("request", self._request)
        page.goto(file.as_uri())

    def leave(self) -> None:
        """Listen no longer: what the page says from now on belongs to another visit."""
        self.page.remove_listener("console", self._console)
        self.page.remove_listener("pageerror", self._error)
        self.page.remove_listener("request", self._request)

    def change(self, width: int, theme: str) -> None:
        """Give the window this width and theme, and wait until the plots have them too."""
        if self._seen_in != (width, theme):
            self._seen_in = (width, theme)
            self._set(width, theme)
            self.page.wait_for_function(FITTED)

    def charts(self) -> list[dict[str, Any]]:
        """Return what Plotly made of each plot."""
        charts: list[dict[str, Any]] = self.page.evaluate(
            """() => [...document.querySelectorAll(".chart")].map((chart) => ({
                id: chart.id,
                width: chart.getBoundingClientRect().width,
                points: (chart.calcdata || []).map((trace) =>
                    trace.filter((point) => point.x !== undefined).length),
                drawn: chart.querySelectorAll("path.js-line, path.point").length,
                ink: chart._fullLayout && chart._fullLayout.font.color,
            }))"""
        )
        return charts

    def _set(self, width: int, theme: str) -> None:
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]

    def _console(self, message: ConsoleMessage) -> None:
        self.complaints.append(message.text)

    def _error(self, error: Error) -> None:
        self.complaints.append(str(error))

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)


class Window:
    """The one window of a process, in which all pages are opened one after the other.

    A window of its own for each page costs a process each. All pages come from one address, with
    Plotly at one line, so that only the first has it to compile: 1 to 3 s of CPU time, not 4 to 8.
    """

    def __init__(self, browser: Browser, folder: Path) -> None:
        self.context = browser.new_context(offline=True)
        # A page of many plots takes 20 s beside other load; what never comes, fails in the end.
        self.context.set_default_timeout(PATIENCE_MS)
        self._page = self.context.new_page()
        self._file = folder / "page.html"
        self._visit: Visit | None = None
        self._what: tuple[Path, int, str] | None = None

    def open(self, file: Path, width: int = 1400, theme: str = "light") -> Visit:
        """Open a page anew; nobody else gets to see what the test makes of it."""
        if self._visit:
            self._visit.leave()
        self._file.write_text(aligned(file.read_text()))
        self._visit, self._what = Visit(self._page, self._file, width, theme), None
        return self._visit

    def show(
        self,
        file: Path,
        width: int = 1400,
        theme: str = "light",
        *,
        first: tuple[int, str] | None = None,
    ) -> Visit:
        """Show a page to a test that leaves it as it was: the next one may get it as it is.

        Where `first` is given, the page is opened in that width and theme, and then changed.
        """
        what = (file, *(first or (width, theme)))
        if self._visit is None or self._what != what:
            self.open(*what)
            self._what = what
        assert self._visit is not None
        self._visit.change(width, theme)
        return self._visit
