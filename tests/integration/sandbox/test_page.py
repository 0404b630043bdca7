"""The chat page in a real browser, as wide as a phone."""

from collections.abc import AsyncGenerator

import pytest
from playwright.async_api import Page, expect
from telegram import BotCommand, InlineKeyboardButton, InlineKeyboardMarkup, Update

from tests.browser import PHONE, open_page
from tests.eventually import eventually
from tests.servers.sandbox import CHAT, Running

FORUM = -1001000000001
HOSTILE = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"


@pytest.fixture
async def page(running: Running) -> AsyncGenerator[Page]:
    """The chat page at 390 px, loaded; the test fails if the browser complained of anything."""
    async with open_page(PHONE) as page:
        await page.goto(running.url)
        await expect(page.get_by_role("heading", name="Tocsin")).to_be_visible()
        yield page


async def test_a_message_comes_is_edited_and_goes(running: Running, page: Page):
    log = page.get_by_role("log")
    async with running.bot() as bot:
        sent = await bot.send_message(CHAT, "<b>orders</b> stalled", parse_mode="HTML")
        await expect(log.locator("strong")).to_have_text("orders")
        await expect(log.get_by_text("edited")).to_have_count(0)
        await bot.edit_message_text("orders runs", CHAT, sent.message_id)
        await expect(log.get_by_text("orders runs")).to_be_visible()
        await expect(log.get_by_text("edited")).to_be_visible()
        await bot.send_chat_action(CHAT, "typing")
        await expect(page.get_by_text("Tocsin is typing…")).to_be_visible()
        await bot.delete_message(CHAT, sent.message_id)
        await expect(log.get_by_text("orders runs")).to_have_count(0)


async def test_nothing_in_a_message_becomes_markup(running: Running, page: Page):
    await running.say(HOSTILE)
    async with running.bot() as bot:
        await bot.set_my_commands([BotCommand("x", HOSTILE)])
        keyboard = InlineKeyboardMarkup([[InlineKeyboardButton(HOSTILE, callback_data="x")]])
        await bot.send_document(CHAT, b"x", filename=HOSTILE, caption=HOSTILE, reply_markup=keyboard)
    bubbles = page.locator("#messages .text")
    await expect(bubbles).to_have_count(2)
    for index in range(2):
        await expect(bubbles.nth(index)).to_have_text(HOSTILE)
    assert await page.locator("#messages script, #messages img").count() == 0
    assert await page.title() == "Telegram sandbox"


async def test_buttons_answer_and_links_lead_away(running: Running, page: Page):
    keyboard = InlineKeyboardMarkup(
        [
            [InlineKeyboardButton("Ack", callback_data="ack"), InlineKeyboardButton("Why", callback_data="why")],
            [InlineKeyboardButton("Log page", url="http://127.0.0.1:9001/logs?fp=x")],
        ]
    )
    async with running.bot() as bot:
        await bot.send_message(CHAT, "x", reply_markup=keyboard)
        link = page.get_by_role("link", name="Log page")
        await expect(link).to_have_attribute("href", "http://127.0.0.1:9001/logs?fp=x")
        await expect(link).to_have_attribute("rel", "noopener noreferrer")
        offset: int | None = None
        for label, is_alert in (("Ack", False), ("Why", True)):
            await page.get_by_role("button", name=label).click()
            updates: tuple[Update, ...] = await bot.get_updates(timeout=15, offset=offset)
            offset = updates[0].update_id + 1
            assert updates[0].callback_query is not None
            assert updates[0].callback_query.data == label.lower()
            await updates[0].callback_query.answer(f"said {label}", show_alert=is_alert)
            place = page.get_by_role("dialog") if is_alert else page.locator("#toast")
            await expect(place.get_by_text(f"said {label}").or_(place).first).to_contain_text(f"said {label}")
        await page.get_by_role("button", name="OK").click()
        await expect(page.get_by_role("dialog")).to_be_hidden()


async def test_commands_are_offered_and_sent(running: Running, page: Page):
    async with running.bot() as bot:
        await bot.set_my_commands([BotCommand("queues", "What waits"), BotCommand("help", "What I can do")])
    box = page.get_by_role("combobox", name="Message")
    options = page.get_by_role("option")
    await box.fill("/")
    await expect(options).to_have_count(2)
    await box.fill("/q")
    await expect(options).to_have_text(["/queuesWhat waits"])
    await box.press("ArrowDown")
    await box.press("Enter")
    await expect(page.get_by_role("log").get_by_text("/queues")).to_be_visible()
    await box.fill("plain words")
    await box.press("Enter")
    await expect(page.get_by_role("log").get_by_text("plain words")).to_be_visible()
    assert [message["text"] for message in await running.messages()] == ["/queues", "plain words"]


async def test_other_chats_show_what_is_unread(running: Running, page: Page):
    ann = {"user_id": 5, "status": "creator", "first_name": "Ann"}
    topics = [{"id": 7, "name": "payments"}]
    await running.post("chats", id=FORUM, title="On call", members=[ann, {"user_id": CHAT}], topics=topics)
    async with running.bot() as bot:
        await bot.send_message(FORUM, "declined", message_thread_id=7)
        await bot.send_message(FORUM, "in general")
    await expect(page.get_by_role("button", name="Show the chats")).to_contain_text("2")
    await expect(page).to_have_title("(2) Telegram sandbox")
    await page.get_by_role("button", name="Show the chats").click()
    await page.get_by_role("button", name="On call").click()
    await expect(page.get_by_role("heading", name="On call")).to_be_visible()
    await expect(page).to_have_title("Telegram sandbox")
    await page.get_by_role("button", name="payments", exact=True).click()
    await expect(page.get_by_role("log").get_by_text("declined")).to_be_visible()
    await expect(page.get_by_role("log").get_by_text("in general")).to_have_count(0)
    await page.get_by_label("Speak as").select_option(label="Ann")
    await page.get_by_role("combobox", name="Message").fill("on it")
    await page.get_by_role("button", name="Send").click()

    async def said() -> bool:
        return (await running.messages(FORUM))[-1]["text"] == "on it"

    await eventually(said)
    message = (await running.messages(FORUM))[-1]
    assert (message["from"]["first_name"], message["message_thread_id"]) == ("Ann", 7)


@pytest.mark.parametrize("width", [320, 390, 1280])
async def test_nothing_is_wider_than_the_window(running: Running, page: Page, width: int):
    await page.set_viewport_size({"width": width, "height": 700})
    async with running.bot() as bot:
        long = "x" * 300
        keyboard = InlineKeyboardMarkup([[InlineKeyboardButton(long, callback_data="x")] * 3])
        await bot.send_message(CHAT, f"{long}\n<pre>{long}</pre>", parse_mode="HTML", reply_markup=keyboard)
    await expect(page.locator("#messages pre")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert await page.evaluate("document.querySelector('#messages').scrollWidth") <= width
