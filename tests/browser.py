"""A real browser for tests: Debian's chromium, which complains of nothing."""

import os
import re
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, ViewportSize, async_playwright, expect

from tests.eventually import READY_SECONDS

PHONE = (390, 844)
DESKTOP = (1280, 800)
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""Root in a container has no sandbox of Chromium's, and nothing but loopback is to be spoken to."""

OUTAGE = re.compile(
    r"^(WebSocket connection to \S+ failed|Failed to load resource: |TypeError: Failed to fetch dynamically imported)"
)
"""What Chromium itself says of a server that is away or refuses."""

WAIT_MS = READY_SECONDS * 1000
expect.set_options(timeout=WAIT_MS)


@asynccontextmanager
async def open_page(
    size: tuple[int, int] = DESKTOP, *, with_outage: bool = False, has_touch: bool = False, scale: float = 1
) -> AsyncGenerator[Page]:
    """An empty page. The test fails if a page shown in it threw an error or said anything to the console.

    with_outage: the test takes the server away, or is refused: the browser's own words of that are fine.
    has_touch: fingers touch it, as on a phone.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        reason = "chromium is not there; get it with: tests/install.sh chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=QUIET, timeout=WAIT_MS)
        viewport: ViewportSize = {"width": size[0], "height": size[1]}
        page = await browser.new_page(viewport=viewport, has_touch=has_touch, device_scale_factor=scale)
        page.context.set_default_timeout(WAIT_MS)
        page.on("console", lambda message: complaints.append(f"{message.text} ({message.location['url']})"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        await browser.close()
    unexpected = [each for each in complaints if not (with_outage and OUTAGE.match(each))]
    assert not unexpected, unexpected
