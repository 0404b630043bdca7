"""Final failures ring: once per fingerprint, with exact counts, edited in place."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from tests.eventually import eventually
from tests.integration.bot.house import CHAT, TOKEN, House, failure, snapshot
from tests.integration.bot.test_answers import make_chat
from tocsin.doctor.telegram import check_telegram
from tocsin.events import State

GROUP = -1_000_000_000_888


async def test_a_failure_rings_once_and_its_message_counts_on(house: House) -> None:
    await house.start_bot()
    await house.put(failure())
    await eventually(lambda: house.has_text("×1"), what="the alert")
    await house.put(*(failure() for _ in range(4)), failure(fingerprint="f2", error_type="Timeout"))
    await eventually(lambda: house.has_text("CardError ×5"), what="the edit")
    await eventually(lambda: house.has_text("Timeout ×1"), what="the second incident")
    assert len(await house.alerts()) == 2
    first = (await house.messages())[0]
    assert "attempt 3/3" in first["text"]
    assert "charge" in first["text"]
    assert "card declined" in first["text"]


async def test_only_live_final_failures_ring(house: House) -> None:
    await house.start_bot()
    await house.put(
        failure(backfill=True),
        failure(event="retrying", state=State.RETRYING),
        failure(event="retries-exhausted"),
        failure(event="completed", state=State.COMPLETED, error="", error_type=""),
        failure(age_seconds=3600),
        failure(fingerprint="", error_type="Real"),
    )
    await eventually(lambda: house.has_text("Real ×1"), what="the one that rings")
    assert len(await house.texts()) == 1


async def test_the_first_start_says_what_is_watched_and_never_again(house: House) -> None:
    await house.put(
        *(snapshot(f"q{number}", sources_queues=12, completed=number) for number in range(10)),
        snapshot("broken", sources_queues=12, failed=3),
        *(failure(f"q{number}", backfill=True) for number in range(10)),
    )
    bot = await house.start_bot()
    await house.put(failure("other", fingerprint="f0", error_type="Early"))
    await eventually(lambda: house.has_text("Early ×1"), what="an alert, long after which nothing else has come")
    assert len(await house.texts()) == 1  # one of 12 queues is missing
    await house.put(snapshot("stuck", sources_queues=12, waiting=5, workers=0))
    await eventually(lambda: house.has_text("Watching 12 queues. 2 already in trouble:"), what="the greeting")
    [_, greeting] = await house.texts()
    assert "broken: 3 failed" in greeting
    assert "stuck: 5 ready, no workers" in greeting
    assert await bot.stop() == 0
    await house.start_bot()
    await house.put(failure())
    await eventually(lambda: house.has_text("CardError ×1"), what="an alert after the restart")
    assert len(await house.texts()) == 3


async def test_queues_that_no_alert_chat_names_are_greeted_where_they_would_ring(house: House) -> None:
    await house.put(snapshot(env="prod"))
    await house.start_bot(TELEGRAM_ALERT_CHATS="staging=3003", TELEGRAM_ADMINS=str(CHAT))
    await eventually(lambda: house.has_text("Watching 1 queue"), what="the greeting of the admin")


async def test_an_admin_learns_the_id_of_a_group_where_no_alerts_go_yet(house: House) -> None:
    await make_chat(house, id=GROUP, title="ops", members=[{"user_id": CHAT}], bot_status="member")
    await house.start_bot()
    await house.say("/queues", chat=GROUP)
    await house.say("/whoami", chat=GROUP)
    await eventually(lambda: house.has_text(f"this chat's id is {GROUP}", GROUP), what="the group's id")
    assert len(await house.texts(GROUP)) == 1


async def test_what_a_transaction_wrote_counts_when_it_is_committed_and_leaves_no_lag(house: House) -> None:
    await house.start_bot()
    async with house.transaction() as put:
        await put(failure())
        await put(failure(fingerprint="f2", error_type="Aborted"))
    async with house.transaction(commit=False) as put:
        await put(failure(fingerprint="f3", error_type="Never"))
    await eventually(lambda: house.has_text("Aborted ×1"), what="both alerts of the committed transaction")

    async def read_all() -> bool:
        text, _ = await house.ask("/status", expect="Kafka")
        return "Kafka: 0 records behind" in text

    await eventually(read_all, what="no lag")
    assert len(await house.alerts()) == 2


async def test_another_who_polls_this_token_is_told_of_and_alerts_go_out(house: House) -> None:
    bot = await house.start_bot()
    async with other_poller(house):

        async def told() -> bool:
            text, _ = await house.ask("/status", expect="Telegram")
            return "another process polls with this bot's token" in text

        await eventually(told, what="the conflict in /status")
        assert '"event": "polling_conflict"' in bot.output()

        async def found() -> bool:
            findings = await check_telegram(bot.environ)
            return "another process polls with its token (409)" in " ".join(one.found for one in findings)

        await eventually(found, what="the conflict in doctor")
        await house.put(*(failure(f"q{number}") for number in range(8)))

        async def all_rung() -> bool:
            return len(await house.alerts()) == 8

        await eventually(all_rung, what="every alert")


@contextlib.asynccontextmanager
async def other_poller(house: House) -> AsyncGenerator[None]:
    """Another installation with the same token: now one, now the other is refused."""

    async def poll() -> None:
        while True:
            await house.client.get(f"/bot{TOKEN}/getUpdates", params={"timeout": 1})
            await asyncio.sleep(0.2)

    polling = asyncio.create_task(poll())
    try:
        yield
    finally:
        polling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await polling
