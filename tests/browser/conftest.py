"""One Chromium for all tests here: starting it costs more than most pages do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.visit import OPENED, Visit, Window

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROGRAMS = [
    Path("/usr/bin", name) for name in ("chromium-headless-shell", "chromium", "google-chrome")
]
"""What .ci/setup looks for too; the first, without windows, takes a fifth less CPU time."""
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--js-flags=--no-flush-bytecode",  # keeps what was compiled of Plotly for the next page
]  # fmt: skip


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Where the system has none that a test can steer, Playwright brings its own.
        own = Path(playwright.chromium.executable_path)
        program = next((one for one in [*PROGRAMS, own] if one.exists()), None)
        if program is None:
            if os.environ.get("CGBENCH_REQUIRE_DOCKER"):
                pytest.fail("Chromium is missing (and CGBENCH_REQUIRE_DOCKER is set)", False)
            pytest.skip("Chromium is missing")
        chromium = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def window(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    window = Window(browser, tmp_path_factory.mktemp("window"))
    yield window
    window.context.close()


@pytest.fixture(scope="module", params=[(opened[0], *seen) for opened in OPENED for seen in opened],
                ids=lambda param: f"{param[1]}px {param[2]}")  # fmt: skip
def screen(request: pytest.FixtureRequest) -> Any:
    """Width and theme in which a page is opened, then those in which it is seen."""
    return request.param


@pytest.fixture
def visit(window: Window, file: Path, screen: tuple[tuple[int, str], int, str]) -> Visit:
    """A visit to the page that the module's `file` names, which the test leaves as it was."""
    first, width, theme = screen
    return window.show(file, width, theme, first=first)
