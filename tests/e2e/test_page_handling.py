"""What people do on the page, on the whole product: take an incident, retry what failed, tune a rule, keep a view."""

import re
from typing import Any

import httpx
from playwright.async_api import Page, expect

from tests.accessibility import expect_accessible
from tests.browser import open_page
from tests.clients import bullmq
from tests.eventually import READY_SECONDS, eventually
from tests.pictures import look
from tests.product import Product

SERVICE = "service-token-of-the-test"
FAILED = 5
HEAR = """
window.heard = {sounds: 0, notifications: []};
window.Notification = class extends EventTarget {
  static permission = "granted";
  constructor(title) { super(); heard.notifications.push(title); }
  close() {}
};
window.AudioContext = class extends AudioContext { constructor() { super(); heard.sounds += 1; } };
"""
"""What the operating system would show, and the loudspeaker play."""
SHOP = """
async def charge(job, token):
    if broken:
        raise RuntimeError("Card provider is away")
    return "charged"
"""
"""The app, from a file of its own: its path is on the page."""


async def test_an_incident_is_taken_its_jobs_retried_and_everything_stands_in_the_audit(
    tocsin: Product, redis_url: str
) -> None:
    tocsin.environ["TOCSIN_SERVICE_TOKEN"] = SERVICE
    tocsin.own["bridge"] = {"REDIS_ACTIONS_URL": redis_url}
    for service in ("sandbox", "bot", "logsvc", "bridge"):
        await tocsin.start(service)
    await tocsin.ready()
    broken: set[str] = set()

    shop: dict[str, Any] = {"broken": broken}
    exec(compile(SHOP, "/app/shop/charge.py", "exec"), shop)
    queue = bullmq.Queue("orders", {"connection": redis_url})
    worker = bullmq.Worker("orders", shop["charge"], {"connection": redis_url})
    try:
        await queue.add("first", {})
        await eventually(lambda: _is_told(tocsin, "completed"), what="the queue known to Tocsin")
        async with open_page() as page:
            await _let_it_ring(page, tocsin)
            broken.add("orders")
            for number in range(FAILED):
                await queue.add("charge", {"order": number})
            await eventually(lambda: _has_rung(page), what="a sound and a notification")
            assert await page.evaluate("heard.notifications") == ["prod · orders: RuntimeError"]
            await page.goto(f"{tocsin.url('logsvc')}/logs")
            await expect(page.get_by_test_id("unheeded").first).to_have_text("1")
            await expect(page).to_have_title(re.compile(r"^\(1\) Live"))
            await _take_the_incident(page, tocsin)
            await page.get_by_role("link", name="All of these failures, retry").click()
            await expect(page.get_by_text("noted by this machine")).to_contain_text("they say 20 minutes")
            broken.clear()
            await _retry(page)
            await _end_it(page)
            await _see_bridge_and_bot(page, tocsin)
            await _tune_a_rule(page)
            await _keep_a_view(page, tocsin)
            await _make_a_token_and_read_the_audit(page)
    finally:
        await worker.close()
        await queue.close()


async def _let_it_ring(page: Page, tocsin: Product) -> None:
    """Switch on what a browser does on a new incident; off unless somebody asks for it."""
    await page.add_init_script(HEAR)
    async with page.expect_response(re.compile(r"/api/v1/incidents\?")):  # from here on one is new
        await page.goto(f"{tocsin.url('logsvc')}/account")
    for name in ("Show a notification", "Ring when something new rings"):
        await expect(page.get_by_label(name)).not_to_be_checked()
        await page.get_by_label(name).click()
        await expect(page.get_by_label(name)).to_be_checked()
    assert await page.evaluate("heard.notifications.length") == 1
    await page.evaluate("heard.sounds = 0; heard.notifications = []")  # each shows once how it will be


async def _has_rung(page: Page) -> bool:
    return await page.evaluate("heard.sounds > 0 && heard.notifications.length > 0")


async def _is_told(tocsin: Product, state: str) -> bool:
    return bool((await tocsin.get("/api/v1/jobs", state=state))["items"])


async def _take_the_incident(page: Page, tocsin: Product) -> None:
    await page.get_by_role("link", name="Incidents").first.click()
    row = page.get_by_test_id("incident")
    await expect(row).to_contain_text("Card provider is away")
    await expect(row).to_contain_text("nobody has it yet")
    await look(page, "incidents")
    await row.get_by_role("link", name="RuntimeError").click()
    dialog, confirm = page.get_by_test_id("action-dialog"), page.get_by_test_id("action-confirm")
    await page.get_by_test_id("ack").click()
    await expect(confirm).to_have_text(f"Take 1 incident with {FAILED} failures")
    await look(page, "take")
    await confirm.click()
    await expect(dialog).to_have_count(0)
    state = page.get_by_test_id("incident-state")
    await expect(state).to_have_text("acked")
    await page.get_by_role("button", name="Give it back").click()
    await expect(confirm).to_have_text(f"Give 1 incident with {FAILED} failures back")
    await confirm.click()
    await expect(page.get_by_test_id("unheeded").first).to_have_text("1")
    await page.get_by_test_id("ack").click()
    await confirm.click()
    await expect(state).to_have_text("acked")
    await expect(page.get_by_test_id("unheeded")).to_have_count(0)
    await eventually(lambda: _chat_says(tocsin, "this machine"), what="the name in the chat")
    await post(tocsin, f"incidents/{page.url.rpartition('/')[2]}/note", {"text": "by a script, told by /ws"})
    await expect(page.get_by_role("listitem").filter(has_text="told by /ws")).to_be_visible()
    await page.get_by_label("Your note").fill("The provider has an outage; they say 20 minutes.")
    await page.get_by_role("button", name="Write the note").click()
    await expect(page.get_by_role("listitem").filter(has_text="20 minutes")).to_be_visible()
    await page.get_by_test_id("silence").click()
    await dialog.get_by_label("Why").fill("known outage")
    await dialog.get_by_label("For how long").select_option("4 h")
    await expect(confirm).to_have_text(f"Keep 1 incident with {FAILED} failures quiet for 4 h")
    await confirm.click()
    await expect(state).to_have_text("silenced")
    await look(page, "incident")
    detail = page.url
    await page.get_by_role("link", name="Incidents").first.click()
    silence = page.get_by_test_id("silence")
    await expect(silence).to_contain_text("known outage")
    await expect_accessible(page)
    await silence.get_by_role("button", name="Let it ring again").click()
    await expect(confirm).to_have_text("End 1 silence that hid 0 failures")
    await confirm.click()
    await expect(silence).to_have_count(0)
    await page.get_by_test_id("maintenance").click()
    dialog = page.get_by_role("dialog", name="Maintenance")
    env = await dialog.get_by_label("Environment").input_value()
    await dialog.get_by_label("Why").fill("the database moves")
    await look(page, "maintenance")
    await dialog.get_by_role("button", name=f"Keep {env} quiet, with 1 open incident").click()
    await expect(silence).to_contain_text(f"maintenance: all of {env}")
    await expect(silence).to_contain_text("the database moves")
    await silence.get_by_role("button", name="Let it ring again").click()
    await confirm.click()
    await expect(silence).to_have_count(0)
    await page.goto(detail)


async def post(tocsin: Product, path: str, body: dict[str, Any]) -> None:
    """Do something by the API: what a page shows of it, it was told by `/ws`."""
    async with httpx.AsyncClient(base_url=tocsin.url("logsvc"), timeout=READY_SECONDS) as client:
        (await client.post(f"/api/v1/{path}", json=body)).raise_for_status()


async def _chat_says(tocsin: Product, text: str) -> bool:
    return any(text in message["text"] for message in await tocsin.chat())


async def _retry(page: Page) -> None:
    await page.get_by_test_id("retry-these").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text(f"{FAILED} failed jobs")
    await look(page, "retry")
    await dialog.get_by_role("button", name=f"Retry {FAILED} jobs").click()
    await expect(dialog).to_contain_text(f"{FAILED} put back to waiting")
    await expect(page.get_by_test_id("aftermath")).to_contain_text(f"{FAILED} completed, 0 failed again.")
    await page.keyboard.press("Escape")


async def _end_it(page: Page) -> None:
    await page.get_by_role("link", name="Incidents").first.click()
    await page.get_by_test_id("incident").get_by_role("link", name="RuntimeError").click()
    await page.get_by_test_id("resolve").click()
    await page.get_by_test_id("action-confirm").click()
    await expect(page.get_by_test_id("incident-state")).to_have_text("resolved")
    await expect(page.get_by_test_id("resolve")).to_have_count(0)


async def _see_bridge_and_bot(page: Page, tocsin: Product) -> None:
    """How they say they are; one that dies is not known since then, and the page is told by itself."""
    await page.get_by_role("link", name="System").first.click()
    for service in ("bridge", "bot"):
        row = page.locator(f"[data-testid=service][data-service={service}]")
        await expect(row).to_contain_text("answers")
        await expect(row.locator("[data-name=Behind]")).not_to_have_text("–")
        await expect(row.locator("[data-name=Version]")).not_to_have_text("–")
    bridge = page.locator("[data-testid=service][data-service=bridge]")
    await tocsin.kill("bridge")
    await expect(bridge).to_contain_text("not known since")
    await expect(page.get_by_test_id("findings")).to_contain_text("has not answered for")
    await tocsin.start("bridge")
    await expect(bridge).to_contain_text("answers")


async def _tune_a_rule(page: Page) -> None:
    await page.get_by_role("link", name="Incidents").first.click()
    await page.get_by_role("link", name="Rules", exact=True).click()
    rule = page.locator("[data-rule=oldest-waiting]")
    await rule.get_by_role("button", name="Change").click()
    editor = page.get_by_test_id("rule-editor")
    await editor.get_by_label("Rings from").fill("2400")
    await editor.get_by_role("button", name="Try it").click()
    await expect(page.get_by_test_id("preview")).to_contain_text("by this rule")
    await look(page, "rules")
    await editor.get_by_role("button", name="Save").click()
    await expect(editor).to_have_count(0)
    await expect(rule).to_contain_text("changed by this machine")


async def _keep_a_view(page: Page, tocsin: Product) -> None:
    base = tocsin.url("logsvc")
    await page.goto(f"{base}/errors?sort=failures&range=7d")
    await expect(page.get_by_role("heading", name="Errors")).to_be_visible()
    await page.keyboard.press("Control+k")
    await page.get_by_test_id("palette-input").fill("save this view")
    await page.keyboard.press("Enter")
    await page.get_by_label("Its name").fill("Worst of the week")
    await page.get_by_label("I begin with it").check()
    await look(page, "save-view")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.goto(f"{base}/")
    await page.wait_for_url(f"{base}/errors?sort=failures&range=7d")
    await page.goto(f"{base}/account/views")
    view = page.get_by_test_id("view")
    await expect(view.get_by_label("Begin with Worst of the week")).to_be_checked()
    sharing = view.get_by_label("Share Worst of the week")
    await sharing.click()
    await expect(sharing).to_be_checked()
    await look(page, "views")
    await view.get_by_role("button", name="Forget it").click()
    await page.get_by_role("button", name="Forget 1 view for everybody").click()
    await expect(view).to_have_count(0)


async def _make_a_token_and_read_the_audit(page: Page) -> None:
    await page.get_by_role("link", name="API tokens").click()
    await page.get_by_label("What is it for").fill("deploys from CI")
    await page.get_by_role("button", name="Make it").click()
    await expect(page.get_by_test_id("new-token")).to_contain_text("tocsin_")
    await look(page, "tokens")
    token = page.get_by_test_id("token")
    await token.get_by_role("button", name="Revoke").click()
    await page.get_by_test_id("revoke-confirm").click()
    await expect(token).to_contain_text("revoked")
    await page.get_by_role("link", name="Audit").click()
    entries = page.get_by_test_id("audit-entry")
    for action in ("token revoke", "token create", "rule", "retry", "silence", "note", "ack"):
        await expect(entries.filter(has_text=action).first).to_be_visible()
    when = entries.first.locator(".when")
    lines = "(cell) => { const all = new Range(); all.selectNodeContents(cell); return all.getClientRects().length; }"
    assert await when.evaluate(lines) == 1, "the time of an entry is to stand in one line"
    await look(page, "audit")
    await page.get_by_role("link", name="You", exact=True).click()
    await expect(page.get_by_label("Ring when something new rings")).to_be_checked()
    await look(page, "account")
