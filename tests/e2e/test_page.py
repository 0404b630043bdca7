"""The live page in a real browser, on the real stack: a line appears, is filtered, opened, and never becomes markup."""

import json
import re
import statistics
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from playwright.async_api import Locator, Page, WebSocketRoute, expect

from tests.browser import open_page
from tests.bullmq.driver import run_workload
from tests.clients import bullmq
from tests.eventually import READY_SECONDS, eventually
from tests.ports import free_port
from tests.product import Product
from tests.stalls import stalls

HOSTILE = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
HOSTILE_NAME = "<img/src=x/onerror=\"document.title='pwned'\">"
"""Without a space: a worker gives its queue's name to its connection, and Redis takes none there."""

ROW = "[data-testid=live-row]"
SPAN = (("from", -600), ("to", 1))
"""The last ten minutes, in seconds from now."""

WHAT_IS_ON_TOP = """() => {
  const list = document.querySelector("[data-testid=live-scroller]").getBoundingClientRect();
  const head = document.querySelector(".list-head").getBoundingClientRect().bottom;
  const row = [...document.querySelectorAll("[data-testid=live-row]")]
    .find((each) => each.getBoundingClientRect().bottom > head + 1);
  return [row.dataset.id, Math.round(row.getBoundingClientRect().top - list.top)];
}"""


async def start(tocsin: Product) -> None:
    await tocsin.start("logsvc")
    await tocsin.start("bridge")
    await tocsin.ready()


@asynccontextmanager
async def open_queue(redis_url: str, name: str = "orders") -> AsyncGenerator[Any]:
    """A queue as an app has it; `add(name, data)` adds a job, and nothing works on it."""
    queue = bullmq.Queue(name, {"connection": redis_url})
    try:
        yield queue
    finally:
        await queue.close()


def lines(page: Page, text: str) -> Locator:
    """The lines on the page that hold this text."""
    return page.locator(ROW).filter(has_text=text)


async def expect_status(page: Page, status: str) -> None:
    """Wait until the header says this of the connection."""
    await expect(page.get_by_test_id("connection")).to_have_attribute("data-status", status)


async def test_a_new_line_appears_is_filtered_and_opens(tocsin: Product, redis_url: str) -> None:
    await start(tocsin)
    await run_workload(redis_url, version=6, jobs=40, queues=["orders", "mails"])
    async with open_queue(redis_url) as queue, open_page() as page:
        await page.goto(f"{tocsin.url('logsvc')}/logs")
        await expect(page.locator(ROW).first).to_be_visible()
        await expect_status(page, "live")

        seconds: list[float] = []
        for number in range(5):
            async with stalls() as stalled:
                begun = time.monotonic()
                await queue.add(f"line-{number}-", {"note": "hello"})
                await expect(lines(page, f"line-{number}-").first).to_be_visible()
                seconds.append(time.monotonic() - begun - stalled())
        print("seconds until a new line was on the page:", ", ".join(f"{each:.2f}" for each in seconds))
        assert statistics.median(seconds) < 2, seconds  # a loaded machine may make one of them slow

        await page.get_by_test_id("filter-text").fill("line-3-")
        await expect(lines(page, "line-4-")).to_have_count(0)
        await expect(lines(page, "line-3-").first).to_be_visible()
        assert "line-3-" in page.url
        await lines(page, "line-3-").first.click()
        await expect(page.get_by_test_id("row-detail")).to_contain_text("hello")


async def test_what_a_job_says_never_becomes_markup(tocsin: Product, redis_url: str) -> None:
    async def fail(job: Any, token: str) -> None:
        await job.log(f"logged {HOSTILE}")
        raise RuntimeError(f"thrown {HOSTILE}")

    await start(tocsin)
    async with open_queue(redis_url, HOSTILE_NAME) as queue, open_page() as page:
        await page.goto(f"{tocsin.url('logsvc')}/logs")
        await expect_status(page, "live")
        await queue.add(f"named {HOSTILE}", {"note": f"given {HOSTILE}"})
        worker = bullmq.Worker(HOSTILE_NAME, fail, {"connection": redis_url})
        try:
            detail = page.get_by_test_id("row-detail")
            for line, facts in {
                "added": [f"named {HOSTILE}", "given ", HOSTILE_NAME],
                f"logged {HOSTILE}": [f"logged {HOSTILE}"],
                f"RuntimeError: thrown {HOSTILE}": [f"thrown {HOSTILE}", "Stack, newest call first", "in fail"],
            }.items():
                await lines(page, line).first.click()
                for fact in facts:
                    await expect(detail).to_contain_text(fact)
                await expect_no_markup(page)
                await page.keyboard.press("Escape")
            await lines(page, "added").first.click()
            await page.get_by_role("button", name="Only this queue").click()
            await expect(page.locator(".chip")).to_contain_text(HOSTILE_NAME)
            await expect(lines(page, HOSTILE_NAME).first).to_be_visible()
            await expect_no_markup(page)
            await page.get_by_role("link", name="Queues").click()
            await expect(page.get_by_test_id("queue-row")).to_contain_text(HOSTILE_NAME)
            await expect_no_markup(page)
        finally:
            await worker.close()


async def expect_no_markup(page: Page) -> None:
    assert await page.title() != "pwned"
    await expect(page.locator("main img, main script")).to_have_count(0)


async def test_lines_are_filtered_by_queue_and_level_and_held_by_pause(tocsin: Product, redis_url: str) -> None:
    await start(tocsin)
    await run_workload(redis_url, version=6, jobs=60, queues=["orders", "mails"])
    async with open_queue(redis_url) as queue, open_page() as page:
        await page.goto(f"{tocsin.url('logsvc')}/logs")
        await expect(page.locator(ROW).first).to_be_visible()
        of_mails = page.locator(f"{ROW} .line-queue", has_text="mails")

        await page.get_by_test_id("filter-queue").click()
        await page.locator("[data-testid=filter-queue-option][data-queue=orders]").click()
        await page.keyboard.press("Escape")
        await expect(of_mails).to_have_count(0)
        await expect(page.locator(f"{ROW} .line-queue", has_text="orders").first).to_be_visible()
        await page.get_by_test_id("filter-level").get_by_text("error").click()
        await expect(page.locator(f"{ROW}:not([data-level=error])")).to_have_count(0)
        await expect(page.locator(f"{ROW}[data-level=error]").first).to_be_visible()
        assert page.url.endswith("?queue=orders&level=error")
        await page.get_by_role("button", name="Clear all").click()
        await expect(of_mails.first).to_be_visible()

        await page.get_by_test_id("pause").click()
        await expect(page.get_by_test_id("pause")).to_have_text("Resume")
        await queue.add("while-paused", {})
        await expect(page.get_by_test_id("new-rows")).to_contain_text("new")
        await expect(lines(page, "while-paused")).to_have_count(0)
        await page.get_by_test_id("pause").click()
        await expect(lines(page, "while-paused").first).to_be_visible()
        await expect(page.get_by_test_id("new-rows")).to_have_count(0)


async def test_lines_that_were_left_out_are_a_row_that_loads_them(tocsin: Product, redis_url: str) -> None:
    await start(tocsin)
    async with open_queue(redis_url) as queue, open_page() as page:
        await eventually(lambda: _has_history(tocsin), what="the tables made")
        await leave_out(page, "left-out")
        await page.goto(f"{tocsin.url('logsvc')}/logs")
        await expect_status(page, "live")  # what came before that is history's, and none of it left out
        for name in ("before", "left-out", "after"):
            await queue.add(name, {})
        await expect(lines(page, "after")).to_have_count(2)
        await expect(lines(page, "left-out")).to_have_count(0)
        marker = page.locator("[data-testid=live-marker][data-reason=skipped]").first
        await expect(marker).to_contain_text("skipped here")
        await marker.get_by_role("button", name="Load from history").click()
        await expect(lines(page, "left-out")).to_have_count(2)


async def leave_out(page: Page, name: str) -> None:
    """Let the server say of the lines of this name what it says to a viewer who is too slow for them."""

    def route(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            frame = json.loads(message)
            if frame["type"] == "rows":
                kept = [row for row in frame["rows"] if row.get("job_name") != name]
                frame |= {"rows": kept, "dropped": frame["dropped"] + len(frame["rows"]) - len(kept)}
            socket.send(json.dumps(frame))

        server.on_message(pass_on)

    await page.route_web_socket(re.compile("/api/v1/live"), route)


async def _has_history(tocsin: Product) -> bool:
    async with httpx.AsyncClient(trust_env=False, timeout=READY_SECONDS) as client:
        return (await client.get(f"{tocsin.url('logsvc')}/api/v1/logs")).is_success


async def test_keys_belong_to_what_has_the_focus(tocsin: Product, redis_url: str) -> None:
    await start(tocsin)
    async with open_queue(redis_url) as queue, open_page() as page:
        await eventually(lambda: _has_history(tocsin), what="the tables made")
        await page.goto(f"{tocsin.url('logsvc')}/logs")
        await queue.add("first", {"list": list(range(200))})
        await queue.add("second", {})
        for name in ("first", "second"):  # both lines of each: none moves under the pointer any more
            await expect(lines(page, name)).to_have_count(2)
        detail = page.get_by_test_id("row-detail")
        await lines(page, "added").filter(has_text="first").click()
        await expect(detail).to_have_count(1)
        shown = await detail.get_attribute("data-id")
        body = page.get_by_role("region", name="Details")
        await body.focus()
        await page.keyboard.press("End")
        await page.keyboard.press("j")
        await expect(detail).to_have_attribute("data-id", shown or "")

        async def is_scrolled() -> bool:
            return await body.evaluate("element => element.scrollTop > 0")

        await eventually(is_scrolled, what="the detail scrolled by the keyboard")
        await page.keyboard.press("Escape")
        await expect(detail).to_have_count(0)
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await expect(detail).not_to_have_attribute("data-id", shown or "")

        await page.get_by_role("link", name="Queues").click()
        await page.get_by_role("link", name="Live").click()
        await queue.add("third", {})
        await expect(lines(page, "third").first).to_be_visible()
        await expect(page.get_by_test_id("pause")).to_have_text("Pause")

        await page.keyboard.press("/")  # from the link that has the focus: nobody types there
        await expect(page.get_by_test_id("filter-text")).to_be_focused()
        await page.keyboard.press("Escape")
        await page.keyboard.press("j")
        await expect(page.locator(f"{ROW}[aria-selected=true]")).to_have_count(1)
        await expect(page.get_by_test_id("live-scroller")).to_be_focused()


async def test_the_page_comes_back_after_logsvc_was_killed(tocsin: Product, redis_url: str) -> None:
    await start(tocsin)
    async with open_queue(redis_url) as queue, open_page(with_outage=True) as page:
        await page.goto(f"{tocsin.url('logsvc')}/logs")
        await expect_status(page, "live")
        await queue.add("before", {})
        await expect(lines(page, "before").first).to_be_visible()

        await tocsin.kill("logsvc")
        await expect_status(page, "reconnecting")
        await queue.add("meanwhile", {})
        await expect(lines(page, "meanwhile")).to_have_count(0)
        await tocsin.start("logsvc")
        await expect_status(page, "live")
        await expect(lines(page, "meanwhile").first).to_be_visible()
        await expect(lines(page, "before").first).to_be_visible()
        await queue.add("afterwards", {})
        await expect(lines(page, "afterwards").first).to_be_visible()


async def test_the_page_says_that_history_is_down_and_gets_it_back(tocsin: Product, redis_url: str) -> None:
    history = tocsin.environ["CLICKHOUSE_URL"]
    tocsin.environ["CLICKHOUSE_URL"] = f"http://default:@127.0.0.1:{free_port()}/tocsin"
    await start(tocsin)
    async with open_queue(redis_url) as queue, open_page(with_outage=True) as page:
        await page.goto(f"{tocsin.url('logsvc')}/logs?queue=orders")
        banner = page.get_by_test_id("history-banner")
        await expect(banner).to_contain_text("No history just now")
        await expect(page.get_by_test_id("empty")).to_contain_text("Waiting for history")
        await queue.add("live-anyway", {})
        await expect(lines(page, "live-anyway").first).to_be_visible()
        await expect(banner).to_be_visible()

        await tocsin.stop("logsvc")
        tocsin.environ["CLICKHOUSE_URL"] = history
        await tocsin.start("logsvc")
        await expect(banner).to_have_count(0)
        await expect(page.get_by_test_id("history-edge")).to_be_visible()


async def test_a_refused_filter_is_explained_and_not_asked_again(tocsin: Product) -> None:
    await tocsin.start("logsvc")
    await tocsin.ready()
    async with open_page(with_outage=True) as page:
        await page.goto(f"{tocsin.url('logsvc')}/logs?q={'x' * 1001}")
        await expect_status(page, "refused")
        await expect(page.get_by_test_id("history-banner")).to_contain_text("at most 1000 characters")
        await page.get_by_role("button", name="Clear the filter").click()
        await expect_status(page, "live")
        await expect(page.get_by_test_id("history-banner")).to_have_count(0)


async def test_a_zoom_into_the_histogram_shows_that_time_alone(tocsin: Product, redis_url: str) -> None:
    await start(tocsin)
    await run_workload(redis_url, version=6, jobs=40, queues=["orders"])
    async with open_queue(redis_url) as queue, open_page() as page:
        await page.goto(f"{tocsin.url('logsvc')}/logs")
        await expect_status(page, "live")
        chart = page.get_by_test_id("histogram").get_by_role("slider")
        await expect(chart.locator("canvas")).to_be_visible()
        await expect(page.get_by_test_id("chart-words")).to_contain_text("lines:")

        await chart.press("End")  # the arrows read it, Enter zooms into what is read
        await chart.press("Enter")
        await expect(page.get_by_test_id("past-banner")).to_be_visible()
        now = time.time()
        span = "&".join(f"{name}={time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(now + at))}" for name, at in SPAN)
        await page.goto(f"{tocsin.url('logsvc')}/logs?{span}")
        await expect(page.get_by_test_id("past-banner")).to_be_visible()
        await expect(page.locator(ROW).first).to_be_visible()
        await queue.add("after-the-zoom", {})
        await expect(page.get_by_test_id("past-banner")).to_contain_text("since you opened it")
        await expect(lines(page, "after-the-zoom")).to_have_count(0)
        exported = await page.get_by_test_id("export-csv").get_attribute("href")
        assert "from=" in (exported or "")
        assert "to=" in (exported or "")
        await page.get_by_role("button", name="Go live").click()
        await expect(lines(page, "after-the-zoom").first).to_be_visible()

        await page.get_by_test_id("time-style").get_by_text("Ago").click()
        await expect(page.locator(f"{ROW} .line-time").last).to_contain_text(re.compile("ago|now"))
        await _whole_lines_stay_where_they_are(page, queue)
        await page.get_by_test_id("filter-more").click()
        await page.locator("[data-testid=filter-state-option][data-value=completed]").click()
        await page.keyboard.press("Escape")
        await expect(page.locator(f"{ROW}").filter(has_not_text="completed")).to_have_count(0)
        await expect(lines(page, "completed").first).to_be_visible()


async def _whole_lines_stay_where_they_are(page: Page, queue: Any) -> None:
    """Wrapped lines are as high as their text, the newest is followed, and what is read stays in its place."""
    await queue.add("long-one", {"text": "word " * 400, "end": "the-very-end"})
    await page.get_by_test_id("toggle-wrap").click()
    long = lines(page, "the-very-end").filter(has_text="added").first
    await expect(long).to_be_in_viewport()
    box = await long.bounding_box()
    assert box is not None
    assert box["height"] > 150, "whole, not three lines of it"
    await eventually(lambda: _is_held_in_the_middle(page), what="the list held by scrolling")
    held = await _at_rest(page)
    await queue.add("much-later", {"text": "word " * 400})
    await expect(page.get_by_test_id("new-rows")).to_contain_text("new")
    assert await _at_rest(page) == held
    await page.get_by_test_id("new-rows").click()
    await expect(lines(page, "much-later").last).to_be_in_viewport()
    await page.get_by_test_id("toggle-wrap").click()
    await expect(lines(page, "much-later").last).to_be_in_viewport()
    box = await lines(page, "much-later").last.bounding_box()
    assert box is not None
    assert box["height"] < 30


async def _at_rest(page: Page) -> Any:
    """The first line in view and where it is, once nothing moves any more."""
    seen: list[Any] = []

    async def is_still() -> bool:
        seen.append(await page.evaluate(WHAT_IS_ON_TOP))
        return len(seen) > 3 and all(one == seen[-1] for one in seen[-4:])

    await eventually(is_still, what="the list at rest")
    return seen[-1]


async def _is_held_in_the_middle(page: Page) -> bool:
    """Scroll there. A line that comes in this very moment takes the list to its end again: then once more."""
    await page.get_by_test_id("live-scroller").evaluate("list => { list.scrollTop = list.scrollHeight / 3; }")
    await _at_rest(page)
    return await page.get_by_test_id("new-rows").is_visible()
