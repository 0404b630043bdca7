"""The frame of the page: every page is reached, by keys too; the environment is chosen once for all of them."""

import re

import pytest
from playwright.async_api import expect

from tests.accessibility import expect_accessible
from tests.browser import PHONE, open_page
from tests.integration.logsvc.house import House
from tests.pictures import look

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_the_palette_goes_to_pages_queues_and_does_what_it_says(lately: House) -> None:
    async with open_page(with_outage=True) as page:
        await page.goto(f"{lately.url}/logs")
        await expect(page.get_by_test_id("live-row").first).to_be_visible()
        await expect(page.get_by_test_id("chart-words")).to_contain_text("lines:")
        await look(page, "live")
        await page.keyboard.press("Control+k")
        box = page.get_by_test_id("palette-input")
        await expect(box).to_be_focused()
        await look(page, "palette")
        await box.fill("capture")
        await expect(page.get_by_role("option", name="payments.capture")).to_be_visible()
        await box.fill("queues")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Queues")).to_be_visible()
        await expect(box).to_have_count(0)
        await expect(page.get_by_test_id("queue-row").first).to_be_visible()
        await look(page, "queues")

        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Search on this page")
        await look(page, "keys")
        await page.keyboard.press("Escape")
        await page.keyboard.press("Control+k")
        await box.fill("colours dark")
        await page.keyboard.press("Enter")
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")

        await page.keyboard.press("Control+k")
        await box.fill("4012")
        await expect(page.get_by_role("option", name="4012")).to_contain_text("charge")
        await page.route("**/api/v1/jobs?*", lambda route: route.abort())
        await box.fill("4013")
        await expect(page.get_by_role("dialog", name="Go to")).to_contain_text("Jobs cannot be had just now")


async def test_a_script_that_does_not_come_takes_nothing_else_away(lately: House) -> None:
    async with open_page(with_outage=True) as page:
        await page.route(re.compile(r"/assets/(Palette|draw)-"), lambda route: route.abort())
        await page.goto(f"{lately.url}/logs")
        await expect(page.get_by_test_id("live-row").first).to_be_visible()
        await expect(page.get_by_test_id("chart-words").first).to_contain_text("could not be loaded")
        await page.keyboard.press("Control+k")
        await expect(page.get_by_role("alert").get_by_role("button", name="Load it again")).to_be_visible()
        await expect(page.get_by_test_id("live-row").first).to_be_visible()


async def test_the_environment_is_chosen_for_every_page(lately: House) -> None:
    async with open_page(with_outage=True) as page:
        await page.goto(f"{lately.url}/logs")
        await page.get_by_test_id("env-filter").select_option("staging")
        await expect(page.get_by_test_id("live-row").first).to_be_visible()
        await expect(page.locator("[data-testid=live-row] .line-queue", has_text="payments")).to_have_count(0)
        await page.get_by_role("link", name="Queues").click()
        assert page.url.endswith("/queues?env=staging")
        await expect(page.get_by_test_id("env-filter")).to_have_value("staging")
        rows = page.get_by_test_id("queue-row")
        await expect(rows).to_have_count(2)

        box = page.get_by_label("Find a queue")
        await box.fill("digest")
        await expect(rows).to_have_count(1)
        await page.wait_for_url("**/queues?env=staging&q=digest")
        await page.get_by_role("link", name="Queues").click()
        await expect(rows).to_have_count(2)
        await expect(box).to_have_value("")


async def test_the_first_key_leads_past_the_head_to_the_page(lately: House) -> None:
    async with open_page(with_outage=True) as page:
        await page.goto(f"{lately.url}/queues")
        await expect(page.get_by_test_id("queue-row").first).to_be_visible()
        skip = page.get_by_role("button", name="Skip to the page")
        await expect(skip).to_have_css("opacity", "0")
        await page.keyboard.press("Tab")
        await expect(skip).to_be_focused()
        await expect(skip).to_have_css("opacity", "1")
        await expect_accessible(page)
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await expect(page.locator("main :focus")).to_have_count(1)

        await page.goto(f"{lately.url}/logs")
        await expect(page.get_by_test_id("live-row").first).to_be_visible()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_be_focused()
        await page.keyboard.press("Space")
        await expect(page.get_by_test_id("pause")).to_have_text("Resume")


async def test_a_phone_has_the_pages_at_the_thumb(lately: House) -> None:
    async with open_page(PHONE, with_outage=True) as page:
        await page.goto(f"{lately.url}/logs")
        bar = page.get_by_role("navigation", name="Pages at the thumb")
        await bar.get_by_role("link", name="Queues").click()
        await expect(page.get_by_role("heading", name="Queues")).to_be_visible()
        await bar.get_by_role("button", name="More").click()
        await page.get_by_role("option", name="Live").click()
        await expect(page.get_by_test_id("live-row").first).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

        # An open line covers all: Back leads to the list, and to where one was in it.
        at = page.url
        await page.get_by_test_id("live-row").last.click()
        detail = page.get_by_test_id("row-detail")
        await expect(detail.locator(":focus")).to_have_count(1)
        await expect_accessible(page)
        await page.go_back()
        await expect(detail).to_have_count(0)
        await expect(page.get_by_test_id("live-scroller")).to_be_focused()
        assert page.url == at

        # What leads on from within it closes it, and Back leads to where it was opened.
        await page.get_by_test_id("live-row").last.click()
        await detail.get_by_role("link", name="Lines around it").click()
        await expect(detail).to_have_count(0)
        assert page.url != at
        await expect(page.get_by_test_id("live-row").first).to_be_visible()
        await page.go_back()
        await page.wait_for_url(at)
        await expect(page.get_by_test_id("live-row").first).to_be_visible()
        await expect(detail).to_have_count(0)
