"""An unmodified Application polls the sandbox: updates, conflicts, webhooks, commands, tokens."""

import asyncio

import pytest
from telegram import Bot, BotCommand, BotCommandScopeChat, InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.error import BadRequest, Conflict, EndPointNotFound, InvalidToken
from telegram.ext import CallbackQueryHandler, CommandHandler, ContextTypes

from tests.eventually import eventually
from tests.servers.sandbox import CHAT, TOKEN, Running, refused, running_sandbox
from tocsin.sandbox.errors import OTHER_POLLER, QUERY_TOO_OLD, WEBHOOK_CAME, WEBHOOK_SET

Context = ContextTypes.DEFAULT_TYPE


async def test_a_command_is_answered_and_a_button_pressed(running: Running):
    async def queues(update: Update, context: Context) -> None:
        assert update.effective_message is not None
        keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Refresh", callback_data="r")]])
        await update.effective_message.reply_html(f"<b>{' '.join(context.args or [])}</b>", reply_markup=keyboard)

    async def refresh(update: Update, context: Context) -> None:
        assert update.callback_query is not None
        await update.callback_query.answer("Fresh", show_alert=True)
        await update.callback_query.edit_message_text("again")

    application = running.application()
    application.add_handler(CommandHandler("queues", queues))
    application.add_handler(CallbackQueryHandler(refresh))
    await application.initialize()
    await application.start()
    assert application.updater is not None
    await application.updater.start_polling(drop_pending_updates=True)
    try:
        await eventually(lambda: running.sandbox.polling.is_waiting)
        await running.say("/queues orders")

        async def answered() -> bool:
            return len(await running.messages()) == 2

        await eventually(answered)
        pressed = await running.press((await running.messages())[1]["message_id"], "r")
        assert pressed["answer"] == {"text": "Fresh", "show_alert": True, "url": ""}

        async def edited() -> bool:
            return (await running.messages())[1]["text"] == "again"

        await eventually(edited)
    finally:
        await application.updater.stop()
        await application.stop()
        await application.shutdown()


async def test_the_older_poller_is_told_of_the_newer(running: Running):
    async with running.bot() as older, running.bot() as newer:
        first = asyncio.create_task(older.get_updates(timeout=20))
        await eventually(lambda: running.sandbox.polling.is_waiting)
        second = asyncio.create_task(newer.get_updates(timeout=20))
        with refused(Conflict, OTHER_POLLER):
            await first
        await running.say("hello")
        assert [update.message.text for update in await second if update.message] == ["hello"]


async def test_offsets_confirm_and_limits_cut(running: Running):
    for number in range(5):
        await running.say(str(number))
    async with running.bot() as bot:
        two = await bot.get_updates(limit=2)
        assert [update.message.text for update in two if update.message] == ["0", "1"]
        assert await bot.get_updates(limit=2) == two
        rest = await bot.get_updates(offset=two[-1].update_id + 1)
        assert [update.message.text for update in rest if update.message] == ["2", "3", "4"]
        last = await bot.get_updates(offset=-1)
        assert [update.message.text for update in last if update.message] == ["4"]
        assert await bot.get_updates(offset=last[0].update_id + 1, timeout=0) == ()


async def test_only_allowed_updates_are_kept(running: Running):
    async with running.bot() as bot:
        await bot.get_updates(allowed_updates=["callback_query"])
        assert (await running.say("unheard"))["update_id"] is None
        sent = await bot.send_message(
            CHAT, "x", reply_markup=InlineKeyboardMarkup([[InlineKeyboardButton("b", callback_data="b")]])
        )
        await running.press(sent.message_id, "b", wait_seconds=0)
        (update,) = await bot.get_updates()
        assert update.callback_query is not None
        assert update.callback_query.data == "b"


async def test_a_webhook_ends_and_forbids_polling(running: Running):
    async with running.bot() as bot, running.bot() as other:
        polling = asyncio.create_task(bot.get_updates(timeout=20))
        await eventually(lambda: running.sandbox.polling.is_waiting)
        await other.set_webhook("https://tocsin.example.com/hook", allowed_updates=["message"])
        with refused(Conflict, WEBHOOK_CAME):
            await polling
        with refused(Conflict, WEBHOOK_SET):
            await bot.get_updates()
        await running.say("waits")
        info = await bot.get_webhook_info()
        assert (info.url, info.pending_update_count) == ("https://tocsin.example.com/hook", 1)
        await bot.delete_webhook(drop_pending_updates=True)
        assert await bot.get_updates() == ()


async def test_a_button_press_is_answered_once_and_in_time(running: Running):
    async with running.bot() as bot:
        keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("b", callback_data="b")]])
        sent = await bot.send_message(CHAT, "x", reply_markup=keyboard)

        async def press() -> str:
            return (await running.press(sent.message_id, "b", wait_seconds=0))["callback_query_id"]

        query = await press()
        with refused(BadRequest, "message_too_long"):
            await bot.answer_callback_query(query, "x" * 201)
        await bot.answer_callback_query(query, "x" * 200)
        for late in (query, "77"):
            with refused(BadRequest, QUERY_TOO_OLD):
                await bot.answer_callback_query(late)
        late = await press()
        running.sandbox.world.queries[late] -= 61  # as if it had been pressed a minute ago
        with refused(BadRequest, QUERY_TOO_OLD):
            await bot.answer_callback_query(late)


async def test_commands_are_listed_by_scope(running: Running):
    async with running.bot() as bot:
        await bot.set_my_commands([BotCommand("queues", "What waits")])
        await bot.set_my_commands([BotCommand("debug", "Here only")], scope=BotCommandScopeChat(CHAT))
        assert await bot.get_my_commands() == (BotCommand("queues", "What waits"),)
        assert (await _view(running))["commands"] == [{"command": "debug", "description": "Here only"}]
        await bot.delete_my_commands(scope=BotCommandScopeChat(CHAT))
        assert (await _view(running))["commands"] == [{"command": "queues", "description": "What waits"}]
        with refused(BadRequest, "bot_command_invalid"):
            await bot.set_my_commands([BotCommand("Queues", "x")])


async def test_tokens_and_methods_are_checked(running: Running):
    async with running.bot() as bot:
        me = await bot.get_me()
        assert (me.id, me.username, me.is_bot) == (int(TOKEN.partition(":")[0]), "tocsin_sandbox_bot", True)
        with pytest.raises(EndPointNotFound):
            await bot.do_api_request("dance")
    wrong = running.bot("7000000001:another-token-of-valid-shape-BBBB")
    with pytest.raises(InvalidToken):
        await wrong.initialize()
    await wrong.request.shutdown()
    assert (await running.people.get("/botno-token/getMe")).json()["error_code"] == 404
    assert (await running.people.get(f"/bot{TOKEN[:-1]}x/getMe")).json() == {
        "ok": False,
        "error_code": 401,
        "description": "Unauthorized",
    }
    listed = await running.people.get("/sandbox/calls")
    assert TOKEN not in listed.text
    assert TOKEN.partition(":")[2] not in listed.text


async def test_any_token_will_do_unless_one_is_chosen():
    async with running_sandbox(token=None) as running:
        other = "42:any-token-of-valid-shape-CCCCCCCC"
        async with Bot(other, base_url=f"{running.url}/bot") as bot:
            assert (await bot.get_me()).id == 42


async def test_parameters_come_as_query_form_or_json(running: Running):
    call = f"/bot{TOKEN}/SENDMESSAGE"
    answers = [
        await running.people.get(call, params={"chat_id": CHAT, "text": "query +&="}),
        await running.people.post(call, data={"chat_id": CHAT, "text": "form +&="}),
        await running.people.post(call, json={"chat_id": CHAT, "text": "json +&="}),
        await running.people.post(call, data={"chat_id": CHAT, "text": "multipart +&="}, files={"x": b"x"}),
    ]
    texts = [answer.json()["result"]["text"] for answer in answers]
    assert texts == ["query +&=", "form +&=", "json +&=", "multipart +&="]
    broken = await running.people.post(call, content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()["ok"]) == (400, False)


async def _view(running: Running) -> dict[str, list[dict[str, str]]]:
    return (await running.people.get(f"/sandbox/chats/{CHAT}")).json()
