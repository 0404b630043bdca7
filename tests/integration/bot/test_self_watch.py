"""Tocsin watches itself: a sign of life for somebody outside, and test alerts that are timed."""

from litestar import Response

from tests.eventually import eventually
from tests.integration.bot.house import CHAT, House, snapshot
from tests.integration.bot.service import by_hand
from tests.integration.bot.test_answers import make_chat
from tests.servers.hooks import hooks

SECRET = "0f3c-secret-path"
OTHER = 3003


async def test_a_sign_of_life_goes_out_only_while_it_can_hear_and_ring(house: House) -> None:
    await make_chat(house, id=OTHER, first_name="Other")
    await house.put(snapshot())
    house.environ["TELEGRAM_ALERT_CHATS"] = f"{CHAT},main/*={OTHER}:silent"
    async with hooks() as monitor:
        monitor.answers = [Response("", status_code=500)]
        bot = await house.start_bot(HEARTBEAT_URL=monitor.url(SECRET))
        await eventually(lambda: len(monitor.asked) == 2, what="a sign of life, after one that was refused")
        assert monitor.asked[1].path == f"/{SECRET}"
        await house.ask("/status", expect="🟢 heartbeat: ")
        told = bot.output()
        assert "answers 500" in told
        assert SECRET not in told

        # A test of the queue goes by its routes; one without a queue to every chat, from the server too.
        text, _ = await house.ask("/test orders", expect="Test alert of main/orders (prod)")
        assert text.count("arrived after") == 2
        assert f"chat {OTHER}, without a sound: arrived after" in text
        card = await house.message("TEST ALERT ×1", OTHER)
        assert "Nothing has failed" in card["text"]
        await eventually(lambda: house.has_text("✅ prod · orders · TEST ALERT"), what="its end")
        text, _ = await house.ask("/failed", expect="Newest failed jobs")
        assert "TEST ALERT" not in text
        status, said, problems = await by_hand(house, "test", "test-alert", "prod", "main", "orders")
        assert (status, said.count("arrived after")) == (0, 2), problems
        await house.fault(kind="blocked", chat_id=OTHER, times=None)
        text, _ = await house.ask("/test", expect="Test alert of every chat")
        assert "not yet (" in text
        assert "bot was blocked" in text
