"""The outbox against Telegram's faults."""

import re
import time
from typing import Any

from tests.eventually import eventually
from tests.integration.bot.house import CHAT, TOKEN, House, failure, snapshot
from tests.integration.bot.test_answers import make_chat
from tests.integration.bot.test_postgres_refuses import Sql
from tests.pictures import keep_chat

STORM = re.compile(r"🌩 prod · \d+ incidents at once, ×(?P<failures>\d+)")
GROUP, SUPERGROUP = -4321, -1_000_000_004_321


async def test_all_alerts_arrive_after_telegram_was_down_and_a_storm_is_one_message(house: House) -> None:
    await house.start_bot(BREAKER_PROBE_SECONDS="1", BOT_STORM_INCIDENTS="5", BOT_RESOLVE_SECONDS="20")
    await house.sandbox.kill()
    kinds = range(25)
    for number in range(6):  # one by one, so that they ring before the storm
        await house.put(*(failure(fingerprint=f"a{number}", error_type=f"A{number}") for _ in range(3)))
    for _ in range(4):
        await house.put(*(failure(f"q{number}", fingerprint=f"f{number}", error_type="E") for number in kinds))
    await house.start_sandbox()
    await house.message("×", CHAT)

    async def all_counted() -> bool:
        alone = [int(found[1]) for text in await house.alerts() if (found := re.search(r"×(\d+)", text))]
        storm = [found for text in await house.texts() if (found := STORM.match(text))]
        return len(alone) == 5 and len(storm) == 1 and sum(alone) + int(storm[0]["failures"]) == 18 + 100

    await eventually(all_counted, what="every failure, counted once")
    storm = await house.message("🌩 prod")
    assert "26 incidents at once" in storm["text"]
    assert "26 nobody has" in storm["text"]
    assert "… and 16 more" in storm["text"]
    await house.put(*(failure(f"q{number}", fingerprint=f"f{number}", error_type="E") for number in kinds))

    async def counts_on() -> bool:
        alone = sum(int(found[1]) for text in await house.alerts() if (found := re.search(r"×(\d+)", text)))
        return any(
            alone + int(found["failures"]) == 18 + 125 for text in await house.texts() if (found := STORM.match(text))
        )

    await eventually(counts_on, what="the same messages with the new counts")
    assert len(await house.texts()) == 6
    await keep_chat(f"http://127.0.0.1:{house.sandbox_port}", "incidents at once", "storm")
    assert "You have 26 now" in (await house.press(storm, "🙋 Ack all"))["answer"]["text"]
    await eventually(lambda: house.has_text("all of them are taken"), what="the storm, taken")

    async def over() -> bool:
        await house.put(snapshot())
        return any(text.startswith("✅ prod · 26 incidents") for text in await house.texts())

    await eventually(over, what="the end of the storm, in the same message")


async def test_a_429_freezes_one_chat_for_as_long_as_it_says(house: House) -> None:
    await make_chat(house, id=3003, first_name="Other")
    await house.fault(kind="retry_after", retry_after=4, chat_id=CHAT, method="sendMessage")
    await house.start_bot(TELEGRAM_ALERT_CHATS=f"{CHAT},3003")
    await house.put(failure())
    await eventually(lambda: house.has_text("CardError"), what="the frozen chat's alert")
    assert len(await house.alerts()) == len(await house.alerts(3003)) == 1
    calls = await house.calls("sendMessage")
    refused, late = [call for call in calls if call["chat_id"] == CHAT]
    [other] = [call for call in calls if call["chat_id"] == 3003]
    assert late["at"] - refused["at"] >= 4
    assert other["at"] < late["at"]


async def test_a_chat_that_lets_the_bot_in_late_misses_nothing(house: House) -> None:
    await make_chat(house, id=3003, first_name="Other")
    await house.fault(kind="blocked", chat_id=3003, times=None)
    await house.put(snapshot())
    await house.start_bot(TELEGRAM_ALERT_CHATS=f"3003,{CHAT}")
    await eventually(lambda: house.has_text("Watching"), what="the greeting where the bot is let in")
    await house.put(failure())
    await eventually(lambda: house.has_text("CardError"), what="the alert where the bot is let in")

    async def told() -> bool:
        text, _ = await house.ask("/status", expect="outbox")
        return "chat 3003 does not let me in" in text and "2 waiting" in text

    await eventually(told, what="what waits, in /status")
    await house.put(failure())
    await eventually(lambda: house.has_text("CardError ×2"), what="the edit")
    (await house.client.delete("/sandbox/faults")).raise_for_status()
    await house.say("/start", chat=3003, user=3003)
    await eventually(lambda: house.has_text("CardError ×2", 3003), what="the alert, once the bot is let in")
    await eventually(lambda: house.has_text("Watching", 3003), what="the greeting, once the bot is let in")
    assert len(await house.alerts(3003)) == 1


async def test_a_slow_telegram_is_not_sent_the_same_alert_twice(house: House) -> None:
    await house.start_bot()
    await house.fault(kind="hang", method="sendMessage", seconds=8, times=None)
    await house.put(failure())

    async def taken() -> bool:
        return bool(await house.calls("sendMessage"))

    await eventually(taken, what="the end of the slow call")
    await house.put(failure())
    await eventually(lambda: house.has_text("CardError ×2"), what="the edit of the one message")
    assert len(await house.alerts()) == 1


async def test_a_message_that_telegram_cannot_take_holds_up_no_other(house: House) -> None:
    await house.fault(kind="server_error", method="sendMessage", contains="Poison", times=None)
    await house.start_bot(BREAKER_PROBE_SECONDS="1")
    await house.put(failure(fingerprint="p", error_type="Poison"))
    await eventually(lambda: tried(house), what="the first try")
    for number in range(8):
        await house.put(failure(fingerprint=f"f{number}", error_type=f"E{number}"))

    async def all_there() -> bool:
        return len(await house.alerts()) == 8

    await eventually(all_there, what="the others")
    (await house.client.delete("/sandbox/faults")).raise_for_status()
    await eventually(lambda: house.has_text("Poison"), what="that one, when Telegram takes it")


async def tried(house: House) -> bool:
    return any(call["outcome"] == "refused" for call in await house.calls("sendMessage"))


async def test_a_bot_that_starts_anew_repeats_nothing_and_leaves_out_what_is_too_old(house: House) -> None:
    await make_chat(house, id=3003, first_name="Other")
    await house.fault(kind="server_error", method="sendMessage", chat_id=3003, times=None)
    bot = await house.start_bot(TELEGRAM_ALERT_CHATS=f"{CHAT},3003")
    await house.put(failure())
    await eventually(lambda: house.has_text("CardError"), what="the alert in one chat")
    assert await bot.stop() == 0
    (await house.client.delete("/sandbox/faults")).raise_for_status()
    old_edit = f"UPDATE cards SET wanted = wanted + 1, changed_ms = 1, text = 'old' WHERE chat_id = {CHAT}"
    await Sql(house.postgres).run(old_edit)
    bot = await house.start_bot(TELEGRAM_ALERT_CHATS=f"{CHAT},3003")
    await eventually(lambda: house.has_text("CardError", 3003), what="the alert in the other")
    told = "🧹 Left out because it is too old to be of use: the last change of 1 message above."
    await eventually(lambda: house.has_text(told), what="what was left out")
    assert "stale_dropped" in bot.output()
    assert len(await house.alerts()) == len(await house.alerts(3003)) == 1


async def test_an_alert_whose_link_telegram_refuses_comes_without_it(house: House) -> None:
    await house.start_bot(PUBLIC_URL="http://tocsin.example.org")
    await house.fault(kind="bad_request", method="sendMessage", description="Bad Request: BUTTON_URL_INVALID")
    await house.put(failure())
    await eventually(lambda: house.has_text("CardError"), what="the alert")
    [message] = await house.messages()
    assert "reply_markup" not in message


async def test_a_group_that_became_a_supergroup_is_followed(house: House) -> None:
    await make_chat(house, id=GROUP, title="ops", bot_status="member", members=[{"user_id": CHAT}])
    bot = await house.start_bot(TELEGRAM_ALERT_CHATS=str(GROUP))
    await house.put(failure())
    await eventually(lambda: house.has_text("×1", GROUP), what="the alert in the group")
    await make_chat(house, id=SUPERGROUP, title="ops", bot_status="member", members=[{"user_id": CHAT}])
    await make_chat(house, id=GROUP, migrated_to=SUPERGROUP)
    await house.say("/incidents", chat=SUPERGROUP)
    await eventually(lambda: house.has_text("1 open", SUPERGROUP), what="an answer there before any alert")
    await house.put(failure())
    await eventually(lambda: house.has_text("CardError ×2", SUPERGROUP), what="the old one, sent anew")
    await house.put(failure(fingerprint="f2", error_type="Late"))
    await eventually(lambda: house.has_text("Late ×1", SUPERGROUP), what="the new alert in the supergroup")
    assert await bot.stop() == 0
    await house.start_bot(TELEGRAM_ALERT_CHATS=str(GROUP))
    await house.put(failure(fingerprint="f3", error_type="After"))
    await eventually(lambda: house.has_text("After ×1", SUPERGROUP), what="the alert after a restart")
    calls = [*await house.calls("sendMessage"), *await house.calls("editMessageText")]
    assert not [call for call in calls if call["outcome"] == "refused"], "Telegram's own word taught it, for good"


async def test_a_group_that_moved_while_nobody_listened_is_followed_when_telegram_refuses_it(house: House) -> None:
    await make_chat(house, id=SUPERGROUP, title="ops", bot_status="member", members=[{"user_id": CHAT}])
    await house.fault(kind="migrate", chat_id=GROUP, migrate_to_chat_id=SUPERGROUP, times=None)
    await house.start_bot(TELEGRAM_ALERT_CHATS=str(GROUP))
    await house.put(failure())
    await eventually(lambda: house.has_text("×1", SUPERGROUP), what="the alert in the supergroup")
    await house.put(failure(fingerprint="f2", error_type="Late"))
    await eventually(lambda: house.has_text("Late ×1", SUPERGROUP), what="the next alert")
    refused = [call for call in await house.calls("sendMessage") if call["outcome"] == "refused"]
    assert [call["chat_id"] for call in refused] == [GROUP]  # one refusal taught it, for good


async def test_a_topic_deleted_or_closed_falls_back_to_the_general_one_and_says_so(house: House) -> None:
    await make_forum(house)
    await house.fault(kind="thread_deleted", chat_id=SUPERGROUP)
    await house.start_bot(TELEGRAM_ALERT_CHATS=f"{SUPERGROUP}/5")
    await house.put(failure())
    await eventually(lambda: house.has_text("topic this was meant for is closed", SUPERGROUP), what="the alert")
    await house.fault(kind="thread_closed", chat_id=SUPERGROUP)
    await house.put(failure(fingerprint="f2", error_type="Other"))
    [warning, alert] = (await house.message("Other ×1", SUPERGROUP))["text"].split("\n", 1)
    assert "topic this was meant for is closed" in warning
    assert alert.startswith("🔴 prod")


async def test_a_removed_message_comes_again_when_the_trouble_goes_on(house: House) -> None:
    await house.start_bot()
    await house.put(failure())
    await eventually(lambda: house.has_text("×1"), what="the alert")
    [message] = await house.messages()
    call = {"chat_id": CHAT, "message_id": message["message_id"]}
    (await house.client.post(f"/bot{TOKEN}/deleteMessage", json=call)).raise_for_status()
    assert await house.messages() == []
    await house.put(failure())
    await eventually(lambda: house.has_text("CardError ×2"), what="the alert again")


async def make_forum(house: House) -> None:
    topics: list[dict[str, Any]] = [{"id": 5, "name": "alerts"}]
    await make_chat(house, id=SUPERGROUP, title="ops", is_forum=True, topics=topics, bot_status="member")


async def test_a_text_telegram_cannot_parse_is_sent_plain(house: House) -> None:
    await house.fault(kind="bad_request", method="sendMessage", description="Bad Request: can't parse entities")
    await house.start_bot()
    await house.put(failure(error="a <b>bold</b> & odd error"))
    await eventually(lambda: house.has_text("a <b>bold</b> & odd error"), what="the alert")
    assert len(await house.texts()) == 1


async def test_edits_coalesce_to_the_newest_text(house: House) -> None:
    await house.start_bot(BOT_EDIT_SECONDS="2")
    await house.put(failure())
    await eventually(lambda: house.has_text("×1"), what="the alert")
    began = time.monotonic()
    for _ in range(40):
        await house.put(failure())
    await eventually(lambda: house.has_text("CardError ×41"), what="the last count")
    assert len(await house.calls("editMessageText")) <= (time.monotonic() - began) / 2 + 2


async def test_stale_failures_are_told_in_one_summary(house: House) -> None:
    await house.begin_long_ago()
    await house.start_bot(BOT_STALE_SECONDS="30")
    late = [failure(f"q{number % 3}", age_seconds=90, fingerprint=f"f{number % 3}") for number in range(30)]
    await house.put(*late, failure("q9"))
    await eventually(lambda: house.has_text("30 failures of 3 kinds"), what="the summary")
    await eventually(lambda: house.has_text("q9"), what="the fresh one")
    assert len(await house.texts()) == 2
    await house.put(failure("q0", fingerprint="f0"))
    await eventually(lambda: house.has_text("CardError ×11"), what="the alert when it happens again")


async def test_silence_resolves_unheard_and_the_next_failure_rings_anew(house: House) -> None:
    await house.start_bot(BOT_RESOLVE_SECONDS="2")
    await house.put(failure())

    async def resolved() -> bool:
        await house.put(snapshot())
        return await house.has_text("quiet again")

    await eventually(resolved, what="the resolved message")
    await house.put(failure())
    await eventually(lambda: house.has_text("back again"), what="the new message")
    assert len(await house.alerts()) == 2
    assert "Seen before" in (await house.alerts())[1]


async def test_an_answer_lost_on_the_way_may_double_a_message_but_loses_none(house: House) -> None:
    await house.fault(kind="drop", method="sendMessage")
    await house.start_bot()
    await house.put(failure())
    await eventually(lambda: house.has_text("CardError"), what="the alert")
    await house.put(failure())
    await eventually(lambda: house.has_text("CardError ×2"), what="the edit")
    assert len(await house.alerts()) <= 2


async def test_bad_records_are_counted_and_stop_nothing(house: House) -> None:
    await house.start_bot()
    await house.put_bytes(house.topics.jobs, b"\xff failed {")
    await house.put_bytes(house.topics.jobs, b'{"event":"failed","v":99}')
    await house.put(
        failure("a\0b", error="nul \0 and more", job_id="x" * 5000, fingerprint="n"),
        failure("תור 🔥 <b>", error="<script>alert(1)</script>", fingerprint="m" * 9000),
        failure(),
    )
    await eventually(lambda: house.has_text("card declined"), what="an alert after the bad ones")
    await eventually(lambda: house.has_text("<script>alert(1)</script>"), what="hostile text as text")

    async def told() -> bool:
        text, _ = await house.ask("/status", expect="Kafka")
        return "2 unreadable records" in text

    await eventually(told, what="the bad records in /status")
