"""The pages of jobs and queues in a real browser, on one running product: what Redis forgot, and what people do."""

import asyncio
import re
from typing import Any

import msgspec
from playwright.async_api import Page, Route, expect

from tests.accessibility import expect_accessible
from tests.browser import PHONE, open_page
from tests.bullmq import node
from tests.bullmq.driver import run_workload
from tests.clients import bullmq
from tests.clients import redis as redis_client
from tests.eventually import READY_SECONDS, eventually
from tests.pictures import look
from tests.product import Product

SERVICE = "service-token-of-the-test"

SEES_COPIED = """() => {
  window.copied = false;
  const look = () => { window.copied ||= document.body.textContent.includes("Copied"); };
  new MutationObserver(look).observe(document.body, { childList: true, characterData: true, subtree: true });
}"""
ERRORS = {
    3: "Card declined: insufficient funds (code 402)",
    2: "TypeError: Cannot read properties of undefined (reading 'total')",
    1: "PaymentError: Gateway timed out after 3000 ms",
}


class Story(msgspec.Struct):
    """The ids that story.mjs tells of."""

    job: str
    parent: str


async def test_jobs_and_queues_tell_their_story_and_are_acted_on(tocsin: Product, redis_url: str) -> None:
    tocsin.environ["TOCSIN_SERVICE_TOKEN"] = SERVICE
    tocsin.own["bridge"] = {"REDIS_ACTIONS_URL": redis_url}
    for service in ("sandbox", "bot", "logsvc", "bridge"):
        await tocsin.start(service)
    await tocsin.ready()
    await run_workload(redis_url, version=6, jobs=10, queues=["orders", "mails"])
    await eventually(lambda: are_known(tocsin, {"orders", "mails"}), what="the queues known")
    [line] = await node.run("story.mjs", {"redis": redis_url, "jobs": 10}, seconds=READY_SECONDS)
    story = msgspec.json.decode(line, type=Story)
    async with redis_client.from_url(redis_url) as client:
        assert not await client.exists(f"bull:orders:{story.job}"), "Redis is to have forgotten the job"

    base = tocsin.url("logsvc")
    async with open_page() as page:
        await the_job_has_every_error(page, f"{base}/job/main/orders/{story.job}")
        await look(page, "job")
        await a_line_is_copied_exported_and_shown_again_by_its_link(page, base)
        await the_flow_is_a_tree(page, f"{base}/job/main/orders/{story.parent}")
        await the_queues_say_where_trouble_is(page, base)
        await a_queue_is_paused_by_who_says_so(page)
        async with open_page(with_outage=True) as other:
            await a_job_is_retried_though_the_network_goes(other, base)
        await these_failures_are_retried(page)
        await the_queue_is_resumed(page)
        async with open_page(with_outage=True) as other:  # who follows a link at once may be faster than history
            await jobs_are_run_at_once_or_removed_with_their_family(other, base, redis_url)
        await lines_come_without_websockets_too(page, base, redis_url)
    async with open_page(PHONE, has_touch=True) as page:
        await a_finger_zooms_the_histogram(page, base)


async def are_known(tocsin: Product, queues: set[str]) -> bool:
    """Whether bridge has found these: from then on it reads along, and knows which attempt a log line is of."""
    told = await tocsin.get("/api/v1/queues")
    return queues <= {item["queue"] for item in told["items"] if item["completed"]}


async def the_job_has_every_error(page: Page, address: str) -> None:
    """Every attempt with its own error, stack and log, though the job is gone from Redis."""
    await page.goto(address)
    attempts = page.get_by_test_id("attempt")
    await expect(attempts).to_have_count(3)
    await expect(page.get_by_test_id("job-head")).to_contain_text("Failed for good after 3 attempts")
    for n, error in ERRORS.items():
        card = page.locator(f"[data-testid=attempt][data-n='{n}']")
        await expect(card.get_by_test_id("attempt-error")).to_have_text(error)
        if n < max(ERRORS):  # its last lines left Redis with the job, perhaps before anybody could read them
            logs = card.get_by_test_id("attempt-logs")
            await expect(logs).to_contain_text(f"attempt {n}")
            await expect(logs.locator("[data-colour=yellow]")).to_have_text("gateway is slow")
    lanes = page.get_by_test_id("job-lane")
    await expect(lanes).to_have_count(3)
    await expect(lanes.nth(1)).to_contain_text("delayed")
    await expect(page.get_by_role("main")).to_contain_text("ann@example.com")


async def a_line_is_copied_exported_and_shown_again_by_its_link(page: Page, base: str) -> None:
    """As text, as JSON, as a link that shows it among its neighbours; and the view as a file."""
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=base)

    async def copied(button: str) -> str:
        await page.evaluate(SEES_COPIED)
        await page.get_by_role("button", name=button).click()
        await eventually(lambda: page.evaluate("copied"), what="the word for it, which is there for a moment")
        await expect(page.get_by_role("button", name=button)).to_be_visible()
        return await page.evaluate("navigator.clipboard.readText()")

    await page.goto(f"{base}/logs?queue=orders&q=properties")
    line = page.get_by_test_id("live-row").filter(has_text="charge-card").first
    await line.click()
    await expect(page.get_by_test_id("row-detail")).to_contain_text("Stack, newest call first")
    await expect_accessible(page)
    assert re.match(r"\S+Z WARN orders charge-card #\S+ delayed TypeError: Cannot", await copied("Copy line"))
    told = msgspec.json.decode(await copied("Copy as JSON"))
    assert (told["queue"], told["attempt"], told["error"] in ERRORS[2]) == ("orders", 2, True)
    link = await copied("Copy link")
    async with page.expect_download() as saved:
        await page.get_by_test_id("export-ndjson").click()
    rows = [msgspec.json.decode(each) for each in (await (await saved.value).path()).read_bytes().splitlines()]
    assert told["id"] in [row.get("id") for row in rows]

    await page.goto(link)
    await expect(page.locator(".banner")).to_contain_text("Around the linked line")
    shown = page.locator(f"[data-testid=live-row][data-id='{told['id']}']")
    await expect(shown).to_be_in_viewport()
    await expect(shown).to_have_attribute("aria-selected", "true")
    await page.get_by_role("button", name="Go live").click()
    await expect(page.locator(".banner")).to_have_count(0)


async def the_queue_is_resumed(page: Page) -> None:
    """With the number that waits, as bridge counts it."""
    await page.get_by_test_id("action-resume").click()
    dialog = page.get_by_test_id("action-dialog")
    await expect(dialog).to_contain_text("Just now 2 jobs wait and 0 run.")
    await page.get_by_test_id("action-confirm").click()
    await expect(dialog).to_contain_text("The queue is resumed")
    await dialog.get_by_role("button", name="Done").click()
    await expect(page.get_by_test_id("queue-head")).to_have_attribute("data-paused", "false")


async def jobs_are_run_at_once_or_removed_with_their_family(page: Page, base: str, redis_url: str) -> None:
    """A delayed job does not wait for its time; of a parent the question counts all that goes with it."""
    queue = bullmq.Queue("mails", {"connection": redis_url})
    flows = bullmq.FlowProducer({"connection": redis_url})
    try:
        later = await queue.add("later", {}, {"delay": 3_600_000})
        leaf: dict[str, Any] = {"name": "leaf", "queueName": "orders", "data": {}}
        child: dict[str, Any] = {"name": "child", "queueName": "mails", "data": {}, "children": [leaf]}
        tree = await flows.add({"name": "parent", "queueName": "mails", "data": {}, "children": [child]})
    finally:
        await queue.close()
        await flows.close()
    dialog, confirm = page.get_by_test_id("action-dialog"), page.get_by_test_id("action-confirm")
    head = page.get_by_test_id("job-head")
    for job, action, verb, outcome, state in (
        (later, "promote", "Run 1 job", "1 moved to waiting", "waiting"),
        (tree["job"], "remove", "Remove 1 job and its 2 descendants", "1 removed", "removed"),
    ):
        await page.goto(f"{base}/job/main/mails/{job.id}")
        await page.get_by_test_id(f"action-{action}").click()
        await expect(confirm).to_have_text(verb)
        await confirm.click()
        await expect(dialog).to_contain_text(outcome)
        await dialog.get_by_role("button", name="Done").click()
        await expect(head).to_have_attribute("data-state", state)


async def lines_come_without_websockets_too(page: Page, base: str, redis_url: str) -> None:
    """A network that lets no WebSocket through: server-sent events carry the lines, and pages are asked for anew."""
    await page.context.route_web_socket(re.compile(r"/(ws|api/v1/live)"), lambda socket: socket.close())
    await page.goto(f"{base}/logs")
    await expect(page.get_by_test_id("connection")).to_have_attribute("data-status", "live")
    queue = bullmq.Queue("orders", {"connection": redis_url})
    try:
        await queue.add("by-sse", {})
        await expect(page.get_by_test_id("live-row").filter(has_text="by-sse").first).to_be_visible()
        await page.get_by_role("link", name="Queues").first.click()
        orders = page.locator("[data-testid=queue-row][data-queue=orders] [data-name=Waiting]")
        await expect(orders).to_have_text("1")
        await queue.add("by-sse", {})
        await expect(orders).to_have_text("2")
    finally:
        await queue.close()


async def a_finger_zooms_the_histogram(page: Page, base: str) -> None:
    """By a tap on a bar and the button under it, by a drag sideways; and out again."""
    await page.goto(f"{base}/logs")
    await page.get_by_test_id("toggle-histogram").tap()  # a phone begins without it
    chart = page.get_by_test_id("histogram").get_by_role("slider")
    await expect(chart.locator("canvas")).to_be_visible()
    banner = page.get_by_test_id("past-banner")
    await expect(banner).to_have_count(0)
    box = await chart.bounding_box()
    assert box is not None
    across, middle = box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2
    await page.touchscreen.tap(across, middle)
    zoom = page.get_by_test_id("zoom-in")
    thumb = await zoom.bounding_box()
    assert thumb is not None
    assert thumb["height"] >= 44
    await zoom.tap()
    await expect(banner).to_be_visible()
    near, before = await _length_shown(page), page.url
    await page.get_by_test_id("zoom-out").tap()
    await page.wait_for_url(lambda url: url != before)
    assert await _length_shown(page) == 3 * near

    await page.goto(f"{base}/logs")
    await expect(chart.locator("canvas")).to_be_visible()
    fingers: Any = await page.context.new_cdp_session(page)  # its answers have no types
    for kind, x in (
        ("touchStart", across - 120),
        ("touchMove", across - 60),
        ("touchMove", across),
        ("touchEnd", None),
    ):
        points = [] if x is None else [{"x": x, "y": middle}]
        await fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    await expect(banner).to_be_visible()
    assert near < await _length_shown(page) < 3_600_000


async def _length_shown(page: Page) -> float:
    """How long the stretch of time is that the address names, ms."""
    times = (
        "const at = new URLSearchParams(location.search); return Date.parse(at.get('to')) - Date.parse(at.get('from'));"
    )
    return await page.evaluate(f"() => {{ {times} }}")


async def the_flow_is_a_tree(page: Page, address: str) -> None:
    """From a parent to its child and back."""
    await page.goto(address)
    tree = page.get_by_test_id("job-family")
    await expect(tree).to_contain_text("2 children: 2 completed")
    await tree.get_by_role("link", name="confirm").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("confirm")
    await expect(tree.get_by_role("link", name="ship-order")).to_be_visible()
    await look(page, "job-flow")


async def the_queues_say_where_trouble_is(page: Page, base: str) -> None:
    """The queue with failures first, healthy ones quiet; groups by name; a filter."""
    await page.goto(f"{base}/queues")
    rows = page.get_by_test_id("queue-row")
    await expect(rows.first).to_have_attribute("data-queue", "mails")
    await expect(rows.first.get_by_role("img")).to_have_attribute("aria-label", re.compile(r"completed, \d+ failed"))
    await page.get_by_label("Find a queue").fill("ord")
    await expect(rows).to_have_count(1)
    await page.get_by_label("Find a queue").fill("")
    await page.get_by_test_id("queue-grouping").select_option("source")
    await expect(page.get_by_test_id("queue-group")).to_contain_text("main")
    await rows.filter(has_text="mails").get_by_role("link").first.click()


async def a_queue_is_paused_by_who_says_so(page: Page) -> None:
    """The confirmation has the number; the page learns of the pause by itself; the audit says who."""
    head = page.get_by_test_id("queue-head")
    await expect(page.get_by_test_id("queue-failing")).to_contain_text("Mailbox")
    await expect(page.get_by_test_id("recent-failures").get_by_role("link")).not_to_have_count(0)
    await expect(page.get_by_test_id("queue-schedulers")).to_contain_text("nightly-digest")
    await expect(page.get_by_test_id("queue-charts").get_by_role("slider")).to_have_count(6)

    await page.get_by_test_id("action-pause").click()
    dialog = page.get_by_test_id("action-dialog")
    await expect(dialog).to_contain_text("Just now 0 jobs wait and 0 run.")
    await expect(dialog.locator(".env-badge")).to_have_text("prod")
    await expect(dialog).to_contain_text("main")
    await dialog.get_by_label("Why").fill("the provider moves")
    await page.get_by_test_id("action-confirm").click()
    await expect(dialog).to_contain_text("The queue is paused")
    await dialog.get_by_role("button", name="Done").click()
    await expect(page.get_by_test_id("action-resume")).to_be_focused()
    await expect(head).to_have_attribute("data-paused", "true")
    await expect(head).to_contain_text("last pause through Tocsin: this machine")
    await expect(head).to_contain_text("the provider moves")
    await expect(page.get_by_test_id("audit")).to_contain_text("pause")


async def a_job_is_retried_though_the_network_goes(page: Page, base: str) -> None:
    """What is confirmed without a network is not done later; the answer stays to be read when its button has gone."""
    await page.goto(f"{base}/queue/main/mails")
    failures = page.get_by_test_id("recent-failures").get_by_role("listitem")
    await failures.filter(has_text="Mailbox").first.get_by_role("link").click()
    head = page.get_by_test_id("job-head")
    button = head.get_by_test_id("action-retry")
    await button.click()
    dialog, confirm = page.get_by_test_id("action-dialog"), page.get_by_test_id("action-confirm")
    await expect(confirm).to_have_text("Retry 1 job")
    await page.context.set_offline(True)
    await confirm.click()
    await expect(dialog).to_contain_text("Tocsin could not be reached")
    await page.context.set_offline(False)
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        arrived.set()
        await go_on.wait()
        await route.continue_()

    await page.route("**/api/v1/actions", hold)
    await confirm.click()
    await asyncio.wait_for(arrived.wait(), READY_SECONDS)
    await expect(confirm).to_have_text("Working…")  # before that it may be left
    for _ in range(3):  # a browser heeds the second one in a row, whatever the page says
        await page.keyboard.press("Escape")
    await expect(confirm).to_have_text("Working…")
    await expect(confirm).to_be_visible()
    go_on.set()
    await expect(head).to_have_attribute("data-state", "waiting")
    await expect(button).to_have_count(0)
    await expect(dialog).to_contain_text("1 put back to waiting")
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)


async def these_failures_are_retried(page: Page) -> None:
    """Exactly those of one cause; they wait, for the queue is paused."""
    head = page.get_by_test_id("queue-head")
    await expect(head.locator("[data-count=Waiting]")).to_have_text("1")
    failed = int(await head.locator("[data-count=Failed]").inner_text())
    assert failed > 0
    await page.get_by_test_id("queue-failing").locator("li", has_text="Mailbox").get_by_role("button").click()
    confirm = page.get_by_test_id("action-confirm")
    await expect(confirm).to_have_text("Retry 1 job")
    await confirm.click()
    dialog = page.get_by_test_id("action-dialog")
    await expect(dialog).to_contain_text("1 put back to waiting")
    await dialog.get_by_role("button", name="Done").click()
    await expect(head.locator("[data-count=Waiting]")).to_have_text("2")
    await expect(head.locator("[data-count=Failed]")).to_have_text(str(failed - 1))
