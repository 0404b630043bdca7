"""Somebody is on call: alerts are brought to them by name, then to the next, and what was done is handed over."""

from tests.eventually import eventually
from tests.integration.bot.house import CHAT, House, failure, snapshot
from tests.integration.bot.test_answers import greeted, make_chat
from tests.integration.bot.test_handling import labels, tap

ANN, BOSSES = 4242, -3003


async def test_an_alert_is_brought_to_who_is_on_call_then_to_the_next_until_somebody_has_it(house: House) -> None:
    await make_chat(house, id=ANN, first_name="Ann", username="ann")
    await make_chat(house, id=BOSSES, title="bosses", bot_status="member", members=[{"user_id": CHAT}])
    await house.put(snapshot())
    await house.start_bot(BOT_ESCALATE_SECONDS="4", BOT_ESCALATE_TO=str(BOSSES), BOT_TIME_ZONE="Asia/Kathmandu")
    await house.say("/start", chat=ANN, user=ANN)
    await eventually(lambda: house.has_text("Your Telegram id", ANN), what="Ann's id")
    await house.ask(f"/grant {ANN} operator", expect="is now operator")
    await house.ask("/oncall", expect="Nobody is on call")

    async def given() -> bool:
        text, _ = await house.ask("/oncall give @ann 8h", expect="call")
        return "On call: Ann, until" in text

    await eventually(given, what="the bot's memory of who spoke to it")
    await house.put(failure(), failure())
    card = await house.message("CardError ×")
    assert "On call: Ann" in card["text"]
    assert [one["user"]["id"] for one in card["entities"] if one["type"] == "text_mention"] == [ANN]
    mine = await house.message("CardError ×", ANN)
    assert "On call: Ann" in mine["text"]
    theirs = await house.message("CardError ×", BOSSES)
    await eventually(lambda: house.has_text("On call: Ann, chat -3003"), what="the same message, told who is next")
    assert (await tap(house, theirs, "🙋 Ack", user=ANN))["text"] == "You have it now."
    assert "has it already" in (await tap(house, mine, "🙋 Ack", user=ANN))["text"]
    for chat in (CHAT, ANN, BOSSES):
        await eventually(lambda chat=chat: house.has_text("Ann has it since", chat), what="the ack everywhere")

    await house.ask("/silence env=staging 1h quiet there", expect="Silenced until")
    text, _ = await house.ask("/handover", expect="Handover · since")
    for part in (
        "On call: Ann, until",
        "1 open, 0 nobody has",
        "🙋 Ann",
        "env=staging",
        "ack #1",
        "nobody knows whether events were lost",
    ):
        assert part in text
    told = (await house.messages())[-1]
    assert "🙋 I have it" in labels(told)
    await tap(house, told, "🙋 I have it")
    await house.message("has it now.")
    assert await house.has_text("Handover · since"), "for whoever has it to read"
    text, _ = await house.ask("/oncall rota Mon 09:00 @ann, Fri 18:00 @nobody", expect="Nobody called @nobody")
    text, _ = await house.ask("/oncall rota Mon 09:00 @ann, Fri 18:00 9999", expect="Fri 18:00 9999")
    assert "I cannot write to 9999 in private: until they press Start" in text
    text, _ = await house.ask(f"/oncall rota Mon 09:00 @ann, Fri 18:00 {CHAT}", expect="Fri 18:00 1001")
    assert "until somebody else is" in text
    assert "I cannot write to" not in text
    text, _ = await house.ask("/oncall off", expect="by the rota")
    assert "Rota (Asia/Kathmandu)" in text
    assert ":00 UTC+0545" in text, "the turn began at a full minute of their clock"


async def test_what_may_wait_for_the_morning_is_told_then_in_one_message(house: House) -> None:
    await house.put(snapshot())
    all_day = "00:00-23:59,23:00-01:00"
    bot = await house.start_bot(BOT_QUIET_HOURS=f"pro*={all_day.replace(',', ',pro*=')}")
    await greeted(house)
    await house.put(*(failure(fingerprint="f2", error_type="Other") for _ in range(3)), failure())
    await house.put(failure(env="staging", fingerprint="f3", error_type="Loud"))
    loud = await house.message("Loud ×1")

    async def held() -> bool:
        text, _ = await house.ask("/digest", expect="held back")
        return "2 held back until quiet hours are over" in text and "Other ×3" in text and " s old (" in text

    await eventually(held, what="what is held back")
    text, _ = await house.ask("/handover", expect="morning digest: 2 incidents")
    assert (await house.press((await house.messages())[-1], "🔄 Refresh"))["answer"]["text"] == "Up to date"
    assert " s old (" in text
    assert await house.alerts() == []
    await bot.kill()
    keys = [key for row in loud["reply_markup"]["inline_keyboard"] for key in row]
    [ack] = [key for key in keys if key["text"] == "🙋 Ack"]
    pressed = {"chat_id": CHAT, "user_id": CHAT, "message_id": loud["message_id"], "data": ack["callback_data"]}
    (await house.client.post("/sandbox/callbacks", json=pressed)).raise_for_status()
    await house.start_bot()  # the quiet hours are over
    told = await house.message("pressed a button here while I was away")
    assert told["reply_to_message"]["message_id"] == loud["message_id"]
    assert (await tap(house, loud, "🙋 Ack"))["text"] == "You have it now.", "so nobody had it"
    digest = await house.message("Held back in quiet hours: 2 incidents, 2 still go on")
    assert digest["text"].index("Other ×3") < digest["text"].index("CardError ×1")
    await house.message("prod · orders · CardError ×1 · new")
    await house.put(failure())
    await eventually(lambda: house.has_text("CardError ×2"), what="an alert like any other")
    await house.ask("/digest", expect="Nothing is held back")
    assert (await house.press((await house.messages())[-1], "🔄 Refresh"))["answer"]["text"] == "Up to date"
    text, _ = await house.ask("/ack", expect="nobody has acked")
    assert " s old (" in text
