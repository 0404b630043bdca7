"""Pictures of the page and of the chat for docs: kept when TOCSIN_SCREENSHOTS names a folder, else not taken."""

import io
import os
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.async_api import Page, expect

from tests.accessibility import expect_accessible
from tests.browser import DESKTOP, PHONE, open_page

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
SIZES = {"desktop": DESKTOP, "phone": PHONE}
QUALITY = 80


async def look(page: Page, name: str) -> None:
    """Let axe look at what is shown, as wide as it is and on a phone, and the camera."""
    await expect_accessible(page, *THEMES)
    await resize(page, PHONE)
    await expect_accessible(page, "light")  # another width has no other colours
    await resize(page, DESKTOP)
    await keep_pictures(page, name)


async def keep_pictures(page: Page, name: str) -> None:
    """Take what is shown in both themes, on a desktop and on a phone: `<name>-<size>-<theme>.webp`."""
    folder = os.environ.get("TOCSIN_SCREENSHOTS")
    if not folder:
        return
    await page.mouse.move(0, 0)
    for size, pixels in SIZES.items():
        await resize(page, pixels)
        for theme in THEMES:
            await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            await page.evaluate(AT_REST)
            taken = Image.open(io.BytesIO(await page.screenshot()))
            taken.save(Path(folder, f"{name}-{size}-{theme}.webp"), quality=QUALITY, method=6)
    await page.emulate_media(color_scheme=None, reduced_motion=None)
    await resize(page, DESKTOP)


AT_REST = "new Promise((resolve) => { requestAnimationFrame(() => { setTimeout(resolve, 400); }); })"
"""A chart is drawn anew for another width or theme."""


async def resize(page: Page, pixels: tuple[int, int]) -> None:
    await page.set_viewport_size({"width": pixels[0], "height": pixels[1]})


async def keep_chat(sandbox_url: str, shows: str, name: str) -> None:
    """Take the sandbox's chat as a phone shows it, once it shows that text: `chat-<name>.webp`."""
    folder = os.environ.get("TOCSIN_SCREENSHOTS")
    if not folder:
        return
    async with open_page(PHONE, scale=1.5) as page:
        await page.goto(sandbox_url)
        bubble = page.get_by_role("log").get_by_text(shows).last
        await expect(bubble).to_be_visible()
        await bubble.scroll_into_view_if_needed()
        taken = Image.open(io.BytesIO(await page.screenshot()))
        taken.save(Path(folder, f"chat-{name}.webp"), quality=QUALITY, method=6)
