"""A group's topic asks to hear of an env, and is told why what comes there comes."""

from tests.eventually import eventually
from tests.integration.bot.house import CHAT, House, failure, snapshot
from tests.integration.bot.test_answers import greeted, make_chat

FORUM, TOPIC, MEMBER = -1_000_000_004_321, 5, 2002


async def test_a_topic_hears_of_what_it_asked_for_until_it_asks_no_more(house: House) -> None:
    people = [{"user_id": CHAT}, {"user_id": MEMBER, "first_name": "Mel"}]
    topics = [{"id": TOPIC, "name": "alerts"}]
    await make_chat(
        house, id=FORUM, title="ops", is_forum=True, topics=topics, bot_status="administrator", members=people
    )
    await house.put(snapshot(), snapshot("mail", env="staging"))
    bot = await house.start_bot(TELEGRAM_ALERT_CHATS=f"staging={CHAT}")
    await greeted(house)

    async def topic(text: str, expect: str, user: int = CHAT) -> str:
        await house.say(text, chat=FORUM, user=user, message_thread_id=TOPIC)
        await eventually(lambda: house.has_text(expect, FORUM), what=f"{expect!r} in the topic")
        newest = (await house.messages(FORUM))[-1]
        assert newest["message_thread_id"] == TOPIC
        return str(newest["text"])

    await house.say("/here env=prod", chat=FORUM, user=MEMBER, message_thread_id=TOPIC)  # nobody here: no answer
    await topic("/here env=prod", "env=prod · no payloads, no log lines")
    assert len(await house.messages(FORUM)) == 1
    await topic("/subscribe data on", "needs the role admin", MEMBER)
    assert "payloads and log lines may be shown here" in await topic("/subscribe data on", "From now on payloads")
    told = await topic("/route orders", "rings in")
    assert f"chat {FORUM}, topic {TOPIC}: /here env=prod, asked for by" in told
    await house.put(failure(), failure("mail", env="staging", fingerprint="f2", error_type="Other"))
    card = await house.message("CardError ×1", FORUM)
    assert card["message_thread_id"] == TOPIC
    await eventually(lambda: house.has_text("Other ×1"), what="the alert that goes by the settings")
    assert not await house.has_text("Other ×1", FORUM)
    # It is kept: another start knows it.
    await bot.kill()
    await house.start_bot(TELEGRAM_ALERT_CHATS=f"staging={CHAT}")
    await house.put(failure(fingerprint="f3", error_type="Third"))
    await eventually(lambda: house.has_text("Third ×1", FORUM), what="the alert after a restart")
    await topic("/here off", "This place has asked for nothing")
    await house.put(failure(fingerprint="f4", error_type="Fourth"))
    await eventually(lambda: house.has_text("Fourth ×1"), what="the alert for the admin, as nothing matches")
    assert not await house.has_text("Fourth", FORUM)
