"""What the pages beside the live one say of a past that is known, on a desktop and a phone, to eyes and to a reader."""

import pytest
from playwright.async_api import Page, expect

from tests.accessibility import expect_accessible
from tests.browser import open_page
from tests.integration.logsvc.house import House
from tests.integration.logsvc.recent import DECLINED
from tests.pictures import keep_pictures

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def look(page: Page, name: str) -> None:
    """Let axe and the camera look at what is shown."""
    await expect_accessible(page)
    await keep_pictures(page, name)


async def test_errors_are_groups_with_their_trend_their_places_and_the_deploy_before(lately: House) -> None:
    async with open_page() as page:
        await page.goto(f"{lately.url}/errors")
        groups = page.get_by_test_id("error-group")
        await expect(groups).to_have_count(3)
        declined = page.locator(f"[data-fingerprint={DECLINED}]")
        await expect(declined).to_contain_text("36 failures, all for good")
        await expect(declined).to_contain_text("new")
        await look(page, "errors")
        await page.get_by_test_id("env-filter").select_option("staging")
        await expect(groups).to_have_count(1)
        await page.get_by_test_id("env-filter").select_option("")
        await page.keyboard.press("Escape")
        await page.keyboard.press("/")
        await page.keyboard.type("declined")
        await expect(groups).to_have_count(1)
        await page.keyboard.press("Escape")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")

        await expect(page.get_by_role("heading", name="PaymentError")).to_be_visible()
        await expect(page.locator("main")).to_contain_text("4 min after shop 2026.11.3 (CI)")
        await expect(page.locator("main")).to_contain_text("Not known now")
        await expect(page.get_by_role("link", name="#4035")).to_be_visible()
        await expect(page.locator("main")).to_contain_text("charge.js:88:13")
        await look(page, "error")
