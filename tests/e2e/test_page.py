"""The live page in a real browser, on the real stack: a line appears, is filtered, opened, and never becomes markup."""

import statistics
import time

from playwright.async_api import expect

from tests.browser import open_page
from tests.bullmq.driver import run_workload
from tests.clients import bullmq
from tests.product import Product

HOSTILE = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
ROW = "[data-testid=live-row]"


async def test_a_new_line_appears_is_filtered_and_opens(tocsin: Product, redis_url: str) -> None:
    await tocsin.start("logsvc")
    await tocsin.start("bridge")
    await tocsin.ready()
    await run_workload(redis_url, version=6, jobs=40, queues=["orders", "mails"])
    queue = bullmq.Queue("orders", {"connection": redis_url})
    try:
        async with open_page() as page:
            await page.goto(f"{tocsin.url('logsvc')}/logs")
            await expect(page.locator(ROW).first).to_be_visible(timeout=15_000)
            await expect(page.get_by_test_id("connection")).to_have_attribute("data-status", "live", timeout=15_000)

            seconds: list[float] = []
            for number in range(5):
                name = f"line-{number}-{HOSTILE}"
                begun = time.monotonic()
                await queue.add(name, {"note": HOSTILE})
                await expect(page.locator(ROW).filter(has_text=name).first).to_be_visible(timeout=15_000)
                seconds.append(time.monotonic() - begun)
            assert statistics.median(seconds) < 2, seconds

            await page.get_by_test_id("filter-text").fill("line-3-")
            await expect(page.locator(ROW).filter(has_text="line-3-").first).to_be_visible(timeout=15_000)
            await expect(page.locator(ROW).filter(has_text="line-4-")).to_have_count(0)
            assert "line-3-" in page.url

            await page.locator(ROW).filter(has_text="line-3-").first.click()
            detail = page.get_by_test_id("row-detail")
            await expect(detail).to_contain_text(HOSTILE)
            assert await page.title() != "pwned"
            assert await page.locator("main img, main script").count() == 0
    finally:
        await queue.close()
