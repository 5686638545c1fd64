"""A page opened in Chromium, and what went wrong or out on the way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTHS = (1400, 400)
THEMES = ("light", "dark")
PATIENCE_MS = 120_000


class Visit:
    """A page that was opened, and what went wrong or out on the way."""

    def __init__(self, browser: Browser, file: Path, width: int, theme: str) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=theme,  # type: ignore[arg-type]
            offline=True,
        )
        # A page of many plots takes 20 s beside other load; what never comes, fails in the end.
        context.set_default_timeout(PATIENCE_MS)
        self.page: Page = context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())

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
