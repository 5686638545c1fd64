"""One Chromium for all tests here: starting it costs more than most pages do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.visit import THEMES, WIDTHS, Visit, Window

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--js-flags=--no-flush-bytecode",  # keeps what was compiled of Plotly for the next page
]  # fmt: skip


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        if os.environ.get("CGBENCH_REQUIRE_DOCKER"):
            pytest.fail(f"{CHROMIUM} is missing (and CGBENCH_REQUIRE_DOCKER is set)", pytrace=False)
        pytest.skip(f"{CHROMIUM} is missing")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def window(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    window = Window(browser, tmp_path_factory.mktemp("window"))
    yield window
    window.context.close()


@pytest.fixture(scope="module", params=[(width, theme) for width in WIDTHS for theme in THEMES],
                ids=lambda param: f"{param[0]}px {param[1]}")  # fmt: skip
def screen(request: pytest.FixtureRequest) -> Any:
    """Width and theme in which a page is seen."""
    return request.param


@pytest.fixture
def visit(window: Window, file: Path, screen: tuple[int, str]) -> Visit:
    """A visit to the page that the module's `file` names."""
    return window.show(file, *screen)
