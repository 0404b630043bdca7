"""Pictures of the page for docs/screenshots: kept when TOCSIN_SCREENSHOTS names a folder, else not taken."""

import os
from pathlib import Path
from typing import Literal

from playwright.async_api import Page

from tests.browser import DESKTOP, PHONE

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
SIZES = {"desktop": DESKTOP, "phone": PHONE}


async def keep_pictures(page: Page, name: str) -> None:
    """Take what is shown in both themes, on a desktop and on a phone: `<name>-<size>-<theme>.png`."""
    folder = os.environ.get("TOCSIN_SCREENSHOTS")
    if not folder:
        return
    for size, (width, height) in SIZES.items():
        await page.set_viewport_size({"width": width, "height": height})
        for theme in THEMES:
            await page.emulate_media(color_scheme=theme)
            await page.screenshot(path=Path(folder, f"{name}-{size}-{theme}.png"))
    await page.emulate_media(color_scheme=None)
    await page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
