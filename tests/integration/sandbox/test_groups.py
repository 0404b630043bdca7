"""Groups, forums, membership and privacy, as the bot meets them."""

import pytest
from telegram import ChatMember, Update
from telegram.error import BadRequest, ChatMigrated, Forbidden

from tests.servers.sandbox import CHAT, TOKEN, Running, refused

FORUM = -1001000000001
GROUP = -77
BOT_ID = int(TOKEN.partition(":")[0])


async def test_topics_take_messages_until_closed_or_deleted(running: Running):
    await running.post("chats", id=FORUM, title="Ops", topics=[{"id": 7, "name": "payments"}, {"id": 8, "name": "old"}])
    async with running.bot() as bot:
        await running.say("/queues", chat_id=FORUM, user_id=5, message_thread_id=7)
        [*_, heard] = await bot.get_updates()
        assert heard.message is not None
        assert heard.message.reply_to_message is not None
        assert heard.message.reply_to_message.message_id == 7, "what is said in a topic answers what began it"
        sent = await bot.send_message(FORUM, "x", message_thread_id=7)
        assert (sent.message_thread_id, sent.is_topic_message, sent.chat.is_forum) == (7, True, True)
        assert (await bot.send_message(FORUM, "general")).message_thread_id is None
        for absent in (9, 1):
            with refused(BadRequest, "Message thread not found"):
                await bot.send_message(FORUM, "x", message_thread_id=absent)
        await running.post("chats", id=FORUM, topics=[{"id": 7, "name": "payments", "is_closed": True}])
        with refused(BadRequest, "topic_closed"):
            await bot.send_message(FORUM, "x", message_thread_id=7)
        with refused(BadRequest, "Message thread not found"):
            await bot.send_message(FORUM, "x", message_thread_id=8)


async def test_a_plain_member_hears_only_what_is_meant_for_it(running: Running):
    await running.post("chats", id=FORUM, title="Ops")
    async with running.bot() as bot:
        mine = await bot.send_message(FORUM, "x")

    async def is_heard(text: str, **more: int) -> bool:
        return (await running.say(text, chat_id=FORUM, user_id=5, **more))["update_id"] is not None

    assert not await is_heard("good morning")
    assert await is_heard("/queues")
    assert await is_heard("/queues@Tocsin_Sandbox_Bot")
    assert not await is_heard("/queues@another_bot")
    assert await is_heard("look, @tocsin_sandbox_bot")
    assert await is_heard("thanks", reply_to_message_id=mine.message_id)
    await running.post("chats", id=FORUM, bot_status="administrator")
    assert await is_heard("/queues@another_bot")
    assert await is_heard("good morning")


async def test_members_are_told_apart(running: Running):
    ann = {"user_id": 5, "status": "creator", "first_name": "Ann"}
    await running.post("chats", id=GROUP, title="Ops", members=[ann])
    await running.say("/x", chat_id=GROUP, user_id=6)
    async with running.bot() as bot:
        assert (await bot.get_chat_member(GROUP, 5)).status == ChatMember.OWNER
        assert (await bot.get_chat_member(GROUP, 6)).status == ChatMember.MEMBER
        assert (await bot.get_chat_member(GROUP, CHAT)).status == ChatMember.LEFT
        assert (await bot.get_chat_member(GROUP, BOT_ID)).status == ChatMember.MEMBER
        with refused(BadRequest, "participant_id_invalid"):
            await bot.get_chat_member(GROUP, 999)
        assert [each.user.first_name for each in await bot.get_chat_administrators(GROUP)] == ["Ann"]
        assert await bot.get_chat_member_count(GROUP) == 3
        with refused(BadRequest, "There are no administrators in the private chat"):
            await bot.get_chat_administrators(CHAT)
        assert (await bot.get_chat(GROUP)).title == "Ops"
        await running.post("chats", id=GROUP, bot_status="administrator")
        assert {each.user.id for each in await bot.get_chat_administrators(GROUP)} == {5, BOT_ID}


async def test_the_bot_hears_of_its_comings_and_goings(running: Running):
    async with running.bot() as bot:
        await running.post("chats", id=GROUP, title="Ops")
        await running.post("chats", id=GROUP, bot_status="kicked")
        with refused(Forbidden, "Forbidden: bot was kicked from the group chat"):
            await bot.send_message(GROUP, "x")
        await running.post("chats", id=GROUP, bot_status="member")
        assert await bot.leave_chat(GROUP)
        with refused(Forbidden, "Forbidden: bot is not a member of the group chat"):
            await bot.send_message(GROUP, "x")
        await running.post("chats", id=CHAT, bot_status="kicked")
        with refused(Forbidden, "Forbidden: bot was blocked by the user"):
            await bot.send_message(CHAT, "x")
        updates = await bot.get_updates(allowed_updates=Update.ALL_TYPES)
    changes = [update.my_chat_member for update in updates if update.my_chat_member]
    assert [(change.old_chat_member.status, change.new_chat_member.status) for change in changes] == [
        ("left", "member"),
        ("member", "kicked"),
        ("kicked", "member"),
        ("member", "left"),
        ("member", "kicked"),
    ]


async def test_a_group_that_grew_has_a_new_id(running: Running):
    await running.post("chats", id=GROUP, title="Ops", members=[{"user_id": 5, "status": "creator"}])
    await running.post("chats", id=GROUP, migrated_to=FORUM)
    async with running.bot() as bot:
        with pytest.raises(ChatMigrated) as moved:
            await bot.send_message(GROUP, "x")
        assert moved.value.new_chat_id == FORUM
        assert (await bot.send_message(FORUM, "x")).chat.type == "supergroup"
        told = [update.message for update in await bot.get_updates() if update.message]
    assert [(each.chat_id, each.migrate_to_chat_id, each.migrate_from_chat_id) for each in told] == [
        (GROUP, FORUM, None),
        (FORUM, None, GROUP),
    ]


async def test_an_anonymous_administrator_has_no_name(running: Running):
    await running.post("chats", id=FORUM, title="Ops", members=[{"user_id": 5, "status": "administrator"}])
    await running.say("/ack", chat_id=FORUM, user_id=5, is_anonymous=True)
    async with running.bot() as bot:
        updates = await bot.get_updates(allowed_updates=["message"])
    message = updates[-1].message
    assert message is not None
    assert message.from_user is not None
    assert message.sender_chat is not None
    assert (message.from_user.username, message.sender_chat.id) == ("GroupAnonymousBot", FORUM)
    nobody = await running.people.post(
        "/sandbox/messages", json={"chat_id": FORUM, "user_id": 6, "text": "x", "is_anonymous": True}
    )
    assert nobody.status_code == 400


async def test_people_cannot_do_what_no_app_lets_them(running: Running):
    async def refusal(path: str, **body: object) -> int:
        return (await running.people.post(f"/sandbox/{path}", json=body)).status_code

    assert await refusal("messages", chat_id=CHAT, user_id=5, text="x") == 400
    assert await refusal("messages", chat_id=-999, user_id=5, text="x") == 404
    assert await refusal("messages", chat_id=CHAT, user_id=CHAT, text=" ") == 400
    assert await refusal("messages", chat_id=CHAT, user_id=CHAT, text="x" * 4097) == 400
    assert await refusal("messages", chat_id=CHAT, user_id=CHAT, words="x") == 400
    assert await refusal("callbacks", chat_id=CHAT, user_id=CHAT, message_id=1, data="x") == 400
    stranger = await running.say("/start", chat_id=4242, user_id=4242)
    assert stranger["message"]["from"]["id"] == 4242
