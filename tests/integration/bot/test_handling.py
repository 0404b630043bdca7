"""What people do about incidents: ack, silence, notes, maintenance; and what time does to them."""

import asyncio
import re
from typing import Any

from sqlalchemy import text

from bot.store.database import open_engine
from tests.eventually import eventually
from tests.integration.bot.house import CHAT, House, failure, snapshot
from tests.integration.bot.test_answers import make_chat
from tests.integration.bot.test_postgres_refuses import Sql

GROUP = -1_000_000_000_999
MEMBER, STRANGER = 2002, 3003


def labels(message: dict[str, Any]) -> list[str]:
    """The buttons under a message."""
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [button["text"] for row in rows for button in row]


def data(message: dict[str, Any], label: str) -> str:
    rows = message["reply_markup"]["inline_keyboard"]
    return next(button["callback_data"] for row in rows for button in row if button["text"] == label)


async def tap(house: House, message: dict[str, Any], label: str, user: int = CHAT) -> dict[str, Any]:
    """Press a button; what the bot answered."""
    return answered(await house.press(message, label, user))


def answered(pressed: dict[str, Any]) -> dict[str, Any]:
    assert pressed["answered"], "the bot did not answer the press"
    return pressed["answer"]


async def resolve(house: House, part: str) -> None:
    """Let the source be watched until an incident is quiet."""

    async def is_over() -> bool:
        await house.put(snapshot())
        return any(text.startswith("✅") and part in text for text in await house.texts())

    await eventually(is_over, what=f"the end of {part}")


async def test_an_ack_and_notes_are_seen_by_all_and_remembered_when_it_returns(house: House) -> None:
    await house.start_bot(BOT_RESOLVE_SECONDS="2")
    await house.put(failure(worker="w-7"), failure(worker="w-7"))
    card = await house.message("CardError ×")
    assert "· new" in card["text"]
    old = data(card, "🙋 Ack")
    await eventually(lambda: house.has_text("all on w-7"), what="the workers on the card")
    assert (await tap(house, card, "🙋 Ack"))["text"] == "You have it now."
    card = await house.message("has it since")
    assert card["text"].startswith("🙋 prod · orders")
    assert "🙋 Ack" not in labels(card)
    again = answered(await house.press_data(card, old))
    assert "has it already" in again["text"]
    assert again["show_alert"] is True
    await house.say("card provider is down, they know", reply_to_message_id=card["message_id"])
    await eventually(lambda: house.has_text("📝 Noted on orders"), what="the answer to the note")
    assert "has it since" in (await house.message("card provider is down, they know"))["text"]
    await resolve(house, "CardError")
    assert answered(await house.press_data(card, old))["text"] == "That is over already."
    await house.put(failure(worker="w-7"))
    back = (await house.message("back again"))["text"]
    assert "had it then." in back
    assert "card provider is down, they know" in back
    assert len([text for text in await house.texts() if "CardError" in text and "Noted" not in text]) == 2
    engine = open_engine(house.postgres)
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT action, role, target FROM audit ORDER BY id"))
        target = "#1 env=prod source=main queue=orders fp=f1"
        assert [tuple(row) for row in rows] == [("ack", "admin", target), ("note", "admin", target)]
    await engine.dispose()


async def test_who_may_not_act_is_told_and_nothing_happens(house: House) -> None:
    members = [{"user_id": CHAT}, {"user_id": MEMBER, "first_name": "Mel"}]
    await make_chat(house, id=GROUP, title="ops", bot_status="member", members=members)
    await house.start_bot(TELEGRAM_ALERT_CHATS=str(GROUP))
    await house.put(failure())
    card = await house.message("CardError ×1", GROUP)
    for label in ("🙋 Ack", "🔕 1h"):
        refused = await tap(house, card, label, user=MEMBER)
        assert "You may look" in refused["text"]
        assert refused["show_alert"] is True
    await house.say("mine", chat=GROUP, user=MEMBER, reply_to_message_id=card["message_id"])
    await house.say("/silence orders 1h", chat=GROUP, user=MEMBER)

    async def refused_once() -> bool:
        """What people say to one another below an alert is not answered."""
        return sum("You may look" in text for text in await house.texts(GROUP)) == 1

    await eventually(refused_once, what="the refusal of the command")
    forged = answered(await house.press_data(card, "ack:1:1"))
    assert forged["text"] == "I did not make this button."
    assert forged["show_alert"] is True
    sealed = data(card, "🙋 Ack")
    other = "A" if sealed[-4] != "A" else "B"  # the last letter holds bits that say nothing
    assert "I did not make" in answered(await house.press_data(card, f"{sealed[:-4]}{other}{sealed[-3:]}"))["text"]
    card = await house.message("CardError ×1", GROUP)
    assert card["text"].startswith("🔴")
    assert "mine" not in card["text"]


async def test_a_silence_by_a_button_hides_counts_and_ends(house: House) -> None:
    await house.start_bot()
    await house.put(failure())
    card = await house.message("CardError ×1")
    taps = await asyncio.gather(*(tap(house, card, "🔕 4h") for _ in range(2)))
    assert sum("Silenced until" in tap["text"] for tap in taps) == 1
    assert sum("silenced already" in tap["text"] for tap in taps) == 1
    await house.put(*(failure() for _ in range(20)), failure(fingerprint="f2", error_type="Other"))
    card = await house.message("×21")
    assert card["text"].startswith("🔕 prod")
    assert "20 kept quiet so far" in card["text"]
    assert "🔕 1h" not in labels(card)
    await eventually(lambda: house.has_text("Other ×1"), what="another error of that queue, which rings")
    assert len(await house.messages()) == 2
    listed, _ = await house.ask("/silence", expect="1 kept quiet")
    assert "env=prod source=main queue=orders fp=f1" in listed
    assert "20 kept quiet so far" in listed
    await tap(house, await house.message("1 kept quiet"), "End #1")
    await house.message("Nothing is kept quiet")
    await house.without_text("20 kept quiet so far")
    before = len(await house.messages())
    await house.put(failure())
    nudge = await house.message("nobody has acked it")
    assert len(await house.messages()) == before + 1
    assert nudge["reply_to_message"]["message_id"] == card["message_id"]
    await tap(house, nudge, "🙋 Ack")
    await house.message("has it since")


async def test_silence_and_maintenance_by_command_hide_even_what_is_new(house: House) -> None:
    await house.put(snapshot("orders", sources_queues=2), snapshot("mail", sources_queues=2))
    await house.start_bot(BOT_RESOLVE_SECONDS="2")
    await house.message("Watching 2 queues")
    await house.ask("/silence ordres 1h", expect="Did you mean")
    await house.ask("/silence orders", expect="Say what and how long")
    await house.ask("/silence orders 1h not now", expect="Silenced until")
    await house.ask("/maintenance production 5m", expect="No queue of an env called production")
    await house.put(failure("orders"))
    await house.put(failure("mail", error_type="Loud"))
    await house.message("Loud ×1")
    text, _ = await house.ask("/incidents", expect="2 open, 1 nobody has acked")
    assert "silenced until" in text
    await house.ask("/silence end 1", expect="Silence #1 is over")
    await house.ask("/maintenance prod 15m", expect="You said /maintenance 4 h ago", seconds_ago=4 * 3600)
    await house.ask("/maintenance prod 15m moving house", expect="Maintenance of prod")
    await house.put(*(failure("mail", fingerprint=f"n{number}", error_type=f"New{number}") for number in range(3)))
    text, _ = await house.ask("/maintenance", expect="1 kept quiet")
    await eventually(lambda: hid_three(house), what="what the maintenance hid")
    await Sql(house.postgres).run("UPDATE silences SET until_ms = 1 WHERE is_maintenance")  # its 15 minutes are up
    report = (await house.message("Maintenance of prod is over"))["text"]
    assert "its time is up" in report
    assert "moving house" in report
    assert "It hid 3 failures of 3 kinds" in report
    assert "New1 ×1" in report
    assert not [text for text in await house.alerts() if "New" in text]
    await house.put(failure("mail", fingerprint="n1", error_type="New1"))
    await house.message("New1 ×2")


async def hid_three(house: House) -> bool:
    text, _ = await house.ask("/silence", expect="1 kept quiet")
    return "3 kept quiet so far" in text


async def test_what_nobody_acks_is_reminded_of_and_what_grows_is_heard(house: House) -> None:
    await house.start_bot(BOT_REMIND_SECONDS="3")
    await house.put(failure(), failure(fingerprint="f2", error_type="Other"), failure(source="eu", env="staging"))
    await house.message("Other ×1")
    reminder = await house.message("Nobody has acked")
    assert "#1" in reminder["text"]
    await house.put(*(failure() for _ in range(12)))

    async def nudged() -> bool:
        """It goes on failing: what grew in the same moment as it rang makes no second sound."""
        await house.put(failure())
        return await house.has_text("· new\nIt goes on")

    await eventually(nudged, what="the short message below the alert")
    nudge = await house.message("· new\nIt goes on")
    assert nudge["reply_to_message"]["text"].startswith("🔴 prod · orders · CardError")
    text, _ = await house.ask("/ack", expect="nobody has acked")
    assert re.search(r"CardError ×\d\d", text)
    reminder = await house.message("Nobody has acked")
    await tap(house, reminder, "Open incidents")
    await eventually(lambda: is_below(house, reminder, "3 open"), what="the list below the reminder, which stays")
    await house.ask("/ack orders", expect="Say which: /ack main/orders, /ack eu/orders")
    await house.ask("/ack main/orders", expect="You have 2 now.")
    await house.ask("/ack staging/orders", expect="You have 1 now.")
    await house.ask("/ack", expect="Nobody is waited for")


async def test_an_incident_is_shown_and_acted_on_from_the_list(house: House) -> None:
    await house.put(snapshot())
    await house.start_bot(BOT_RUNBOOKS="ord*=https://wiki.example.org/orders", PUBLIC_URL="https://tocsin.example.org")
    await house.put(*(failure(fingerprint=f"f{number}", error_type=f"E{number}") for number in range(10)))

    async def all_rung() -> bool:
        return len(await house.alerts()) == 10

    await eventually(all_rung, what="every alert")
    card = await house.message("E7 ×1")
    assert labels(card) == ["🙋 Ack", "🔕 1h", "🔕 4h", "Open page", "Runbook"]
    await house.ask("/incidents", expect="10 open, 10 nobody has acked")
    listed = await house.message("page 1 of 2")
    await tap(house, listed, "▶")
    listed = await house.message("page 2 of 2")
    number = next(label for label in labels(listed) if label.startswith("#"))
    await tap(house, listed, number)

    async def shown() -> dict[str, Any] | None:
        one = next(one for one in await house.messages() if one["message_id"] == listed["message_id"])
        return one if "attempt 3/3" in one["text"] else None

    await eventually(lambda: is_some(shown()), what="the card in place of the list")
    detail = await shown()
    assert detail is not None
    assert (await tap(house, detail, "🙋 Ack"))["text"] == "You have it now."
    await eventually(lambda: two_say(house, "has it since"), what="the ack in the list's message and on the card")
    await house.ask("/resolve", expect="Say which incident is over")
    assert (await tap(house, detail, "✅ Resolve"))["text"] == f"{number} is over. It rings anew when it returns."
    await eventually(lambda: two_say(house, "· quiet again"), what="its end in both")
    await house.ask(f"/resolve {number}", expect="That is over already")


async def is_below(house: House, message: dict[str, Any], part: str) -> bool:
    below = [one for one in await house.messages() if "reply_to_message" in one]
    return any(one["reply_to_message"]["message_id"] == message["message_id"] and part in one["text"] for one in below)


async def is_some(found: Any) -> bool:
    return await found is not None


async def two_say(house: House, part: str) -> bool:
    return sum(part in text for text in await house.texts()) == 2
