"""Commands: true numbers, from where they say, within three seconds whatever is dead."""

import json
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from tests.eventually import eventually
from tests.integration.bot.fake_logsvc import FakeLogsvc
from tests.integration.bot.house import CHAT, House, failure, snapshot
from tests.integration.bot.link import WAYS, Link
from tests.pictures import keep_chat
from tests.servers.consul_agent import running_agent
from tests.stalls import stalls
from tocsin.events import VERSION, SchedulerSnapshot

SOON = 3.0
"""As promised, by the bot's own measure; 2 s are the deadline inside. Unguarded it would be 60 s."""


@pytest.fixture
async def logsvc() -> AsyncGenerator[FakeLogsvc]:
    one = FakeLogsvc()
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def link(logsvc: FakeLogsvc) -> AsyncGenerator[Link]:
    """Between the bot and logsvc."""
    one = Link("127.0.0.1", logsvc.port)
    await one.start()
    yield one
    await one.set("refusing")


@pytest.fixture
async def postgres_link(house: House) -> AsyncGenerator[Link]:
    """Between the bot and Postgres."""
    url = urlsplit(house.postgres)
    one = Link(url.hostname or "127.0.0.1", url.port or 5432)
    await one.start()
    house.environ["DATABASE_URL"] = house.postgres.replace(f":{url.port}/", f":{one.port}/")
    yield one
    await one.set("refusing")


def item(queue: str, **more: Any) -> dict[str, Any]:
    """A queue as logsvc tells it, from the future, so that it is newer than any snapshot."""
    zeros = ("waiting", "active", "delayed", "prioritized", "waiting_children", "completed", "failed")
    as_of = datetime.fromtimestamp(time.time() + 3600, UTC).isoformat()
    values = {"env": "prod", "source": "main", "queue": queue, **dict.fromkeys(zeros, 0), "as_of": as_of}
    return {**values, "is_paused": False, "workers": 1, "oldest_waiting_seconds": None, **more}


async def greeted(house: House) -> None:
    await eventually(lambda: house.has_text("Watching"), what="the greeting")


async def is_well(house: House) -> bool:
    text, _ = await house.ask("/status", expect="Tocsin ")
    return "Tocsin is well" in text and "Kafka: 0 records behind" in text


async def test_queues_queue_failed_job_and_status_answer(house: House, logsvc: FakeLogsvc, link: Link) -> None:
    logsvc.queues = [
        *(item("orders", waiting=3, failed=2), item("mail", completed=9)),
        item("webhooks", waiting=812, active=2, workers=0, oldest_waiting_seconds=5400.0),
        item("reports", is_paused=True, waiting=4, delayed=12),
        item("thumbnails", active=7, completed=20_140, workers=None),
    ]
    logsvc.failed = [
        {"env": "prod", "source": "main", "queue": "orders", "job_id": "7", "job_name": "charge", "error": "no <money>"}
    ]
    logsvc.jobs["main/orders/7"] = {
        **{"state": "failed", "job_name": "charge", "attempt": 2, "max_attempts": 2, "error": "no <money>"},
        "as_of": "2026-11-22T00:00:00Z",
        "attempts": [{"n": 1, "outcome": "failed", "error": "slow", "run_ms": 120}, {"n": 2, "error": "no <money>"}],
    }
    await house.put(snapshot("orders", sources_queues=2), snapshot("mail", sources_queues=2))
    await house.start_bot(LOGSVC_URL=f"http://127.0.0.1:{link.port}")
    await greeted(house)
    text, _ = await house.ask("/queues", expect="5 queues, 3 in trouble")
    await keep_chat(f"http://127.0.0.1:{house.sandbox_port}", "3 in trouble", "queues")
    assert "waiting 3, failed 2" in text
    assert text.index("orders") < text.index("mail")
    assert (await house.press((await house.messages())[-1], "orders"))["answered"]
    text = (await house.message("waiting-children 0"))["text"]
    text, _ = await house.ask("/queue orders", expect="waiting-children 0")
    assert "failed 2" in text
    await house.ask("/queue ordrs", expect="Did you mean")
    suggestion = (await house.messages())[-1]
    assert (await house.press(suggestion, "orders"))["answered"]
    await eventually(lambda: house.has_text("waiting 3\n"), what="the suggested queue in the same message")
    text, _ = await house.ask("/failed orders", expect="no <money>")
    assert "old (00:00:00 UTC)" in text
    assert (await house.press((await house.messages())[-1], "7"))["answered"]
    await house.message("attempt 2/2")
    text, _ = await house.ask("/job orders 7", expect="attempt 2/2")
    assert "attempt 1 · failed · ran 120 ms: slow" in text
    assert "old (00:00:00 UTC)" in text
    await house.ask("/job main/orders 8", expect="No job 8")
    await is_charted(house, logsvc, link)
    await eventually(lambda: is_well(house), what="no lag and no trouble in /status")
    await house.ask("/help", expect="/queues: all queues, worst first")
    assert await house.calls("setMyCommands")


async def is_charted(house: House, logsvc: FakeLogsvc, link: Link) -> None:
    """A picture that changes in place, words for who cannot see it, and plain words where there can be none."""
    logsvc.completed = 12
    await house.say("/chart orders")
    hour = await house.message("Last 1 h", what="caption")
    assert "(12 a minute), failed for good 6" in hour["caption"]
    assert "events lost before they were read" in hour["caption"]
    assert (await house.press(hour, "24 h"))["answered"]
    day = await house.message("Last 24 h", what="caption")
    assert day["message_id"] == hour["message_id"]
    assert day["photo"][0]["file_id"] != hour["photo"][0]["file_id"]
    await house.ask("/chart ordres", expect="Did you mean")
    assert (await house.press((await house.messages())[-1], "orders"))["answered"]
    await eventually(lambda: has_pictures(house, 2), what="the picture of the suggested queue")
    await house.fault(
        kind="bad_request", method="sendPhoto", description="Bad Request: not enough rights to send photos"
    )
    await house.ask("/chart orders", expect="(12 a minute)")
    await link.set("refusing")
    told = (await house.press(day, "🔄 24 h"))["answer"]
    assert told["show_alert"]
    assert "does not answer. So there is no chart now." in told["text"]
    await house.ask("/chart orders", expect="So there is no chart now. These are the bot's own last snapshots.")
    await link.set("open")
    again = (await house.messages())[-1]

    async def redrawn() -> bool:
        return (await house.press(again, "🔄 Refresh"))["answer"]["text"] == "Up to date"

    await eventually(redrawn, what="the chart, once history is back")
    await eventually(lambda: has_pictures(house, 3), what="its picture below")


async def has_pictures(house: House, count: int) -> bool:
    return sum("photo" in one for one in await house.messages()) == count


async def test_failed_asks_which_source_and_knows_the_queues_of_history(
    house: House, logsvc: FakeLogsvc, link: Link
) -> None:
    logsvc.queues = [item("orders"), item("orders", source="eu"), item("elsewhere")]
    logsvc.failed = [
        {"env": "prod", "source": "eu", "queue": "orders", "job_id": f"job-{number}", "error": "no money"}
        for number in range(11)
    ]
    await house.put(snapshot("orders", sources_queues=1))
    await house.put(snapshot("orders", source="eu", sources_queues=1))
    await house.start_bot(LOGSVC_URL=f"http://127.0.0.1:{link.port}")
    await greeted(house)
    await house.ask("/failed orders", expect="Say which: /failed eu/orders, /failed main/orders")
    await house.ask("/failed eu/orders", expect="no money")
    assert "Newest failed jobs of eu/orders" in (await house.texts())[-1]
    assert (await house.press((await house.messages())[-1], "🔄 Refresh"))["answer"]["text"] == "Up to date"
    assert (await house.press((await house.messages())[-1], "▶"))["answered"]
    await eventually(lambda: house.has_text("job-10"), what="the second page")
    assert "job-9" not in (await house.texts())[-1]
    assert (await house.press((await house.messages())[-1], "◀"))["answered"]
    await eventually(lambda: house.has_text("job-9"), what="the first page again")
    await house.ask("/failed elsewhere", expect="Newest failed jobs of main/elsewhere")
    await house.ask("/failed nowhere", expect="No queue is called nowhere.")


async def test_nothing_is_said_where_telegram_wants_silence(house: House) -> None:
    bot = await house.start_bot()
    await house.fault(kind="retry_after", retry_after=60, method="sendMessage")
    await house.say("/whoami")
    await eventually(lambda: "answer_rate_limited" in bot.output(), what="Telegram's wish")
    await house.say("/whoami")
    await eventually(lambda: "answer_withheld" in bot.output(), what="the answer that was not sent")
    assert len(await house.calls("sendMessage")) == 1


async def test_refresh_edits_the_same_message(house: House, logsvc: FakeLogsvc, link: Link) -> None:
    logsvc.queues = [item("orders", waiting=3)]
    await house.put(snapshot("orders"))
    await house.start_bot(LOGSVC_URL=f"http://127.0.0.1:{link.port}")
    await greeted(house)
    await house.ask("/queues", expect="waiting 3")
    logsvc.queues = [item("orders", waiting=4)]
    before = await house.messages()
    assert (await house.press(before[-1], "🔄 Refresh"))["answered"]
    await eventually(lambda: house.has_text("waiting 4"), what="the edit")
    assert len(await house.messages()) == len(before)


async def test_queues_answers_within_3_s_however_logsvc_dies(house: House, logsvc: FakeLogsvc, link: Link) -> None:
    logsvc.queues = [item("orders", waiting=3)]
    await house.put(snapshot("orders", waiting=5))
    await house.start_bot(LOGSVC_URL=f"http://127.0.0.1:{link.port}")
    await greeted(house)
    await house.ask("/queues", expect="waiting 3")
    await eventually(lambda: is_well(house), what="Kafka, of which the bot itself tells, read")
    for way in WAYS:
        await link.set(way)
        text, seconds = await house.ask("/queues", expect="waiting 5")
        assert "own last snapshots" in text
        assert " s old" in text
        assert seconds < SOON, way
        text, _ = await house.ask("/failed", expect="the bot itself has counted")
        assert " s old (" in text
        await link.set("open")
        await house.ask("/queues", expect="waiting 3")
        await house.put(snapshot("orders", waiting=5))  # as bridge does every few seconds
        await eventually(lambda: is_closed(house, "logsvc"), what="the closed breaker")


async def test_queues_answers_within_3_s_however_postgres_dies_and_alerts_follow_when_it_is_back(
    house: House, postgres_link: Link
) -> None:
    await house.put(snapshot("orders", waiting=5))
    await house.start_bot(BREAKER_PROBE_SECONDS="1")
    await greeted(house)
    for count, way in enumerate(WAYS, start=1):
        await postgres_link.set(way)
        _, seconds = await house.ask("/queues", expect="waiting 5")
        assert seconds < SOON, way
        await house.put(failure(fingerprint=way, error_type=way), failure(fingerprint=way, error_type=way))

        async def told() -> bool:
            text, seconds = await house.ask("/status", expect="Tocsin ")
            assert seconds < SOON, way  # noqa: B023  # asked in this very round
            return "of its own" in text

        await eventually(told, what="the trouble with Postgres in /status")
        await house.ask("/failed", expect="Neither history nor Postgres")
        await postgres_link.set("open")
        await eventually(lambda way=way: house.has_text(f"{way} ×2"), what=f"the alert after {way}")
        assert len(await house.alerts()) == count
        await eventually(lambda: is_closed(house, "postgres"), what="the closed breaker")


async def test_queues_answers_within_3_s_whatever_consul_does(house: House, logsvc: FakeLogsvc) -> None:
    logsvc.queues = [item("orders", waiting=3)]
    consul = Link("127.0.0.1", logsvc.port)  # any server: what counts is how it fails
    await consul.start()
    house.environ |= {"CONSUL_HTTP_ADDR": f"127.0.0.1:{consul.port}", "LOGSVC_URL": f"http://127.0.0.1:{logsvc.port}"}
    try:
        await consul.set("silent")
        await house.put(snapshot("orders", waiting=3))
        await house.start_bot(wait=False)
        await eventually(lambda: polled(house), what="the first poll, with a Consul that never answers")
        for state in WAYS:
            await consul.set(state)
            _, seconds = await house.ask("/queues", expect="waiting 3")
            assert seconds < SOON, state
    finally:
        await consul.set("refusing")


async def test_of_two_logsvcs_the_healthy_one_is_asked_soon_after_the_others_death(
    house: House, logsvc: FakeLogsvc
) -> None:
    doomed = FakeLogsvc()
    logsvc.queues = doomed.queues = [item("orders", waiting=3)]
    await doomed.start()
    async with running_agent() as agent:
        for one in (logsvc, doomed):
            await agent.register("logsvc", one.port, "/api/v1/queues")
        house.environ |= {"CONSUL_HTTP_ADDR": agent.address, "BREAKER_FAIL_MAX": "1", "BREAKER_PROBE_SECONDS": "1"}
        await house.put(snapshot("orders", waiting=5))
        await house.start_bot()
        for _ in range(2):  # each in its turn
            await house.ask("/queues", expect="waiting 3")
        await doomed.stop()
        died = time.time()
        async with stalls() as stalled:
            await eventually(lambda: knows_one(house) is not None, what="Consul's news in the bot")
            assert (knows_one(house) or 0) - died < 5 + stalled(), "within 5 s, by the bot's own clock"
        for _ in range(3):  # none of them in vain
            await house.ask("/queues", expect="waiting 3")
        await agent.stop()

        async def is_told() -> bool:
            return "breaker consul: open" in (await house.ask("/status", expect="breaker telegram"))[0]

        await eventually(is_told, what="Consul's open breaker in /status")
        await house.ask("/queues", expect="waiting 3")  # where it was last known to be
        await agent.start()
        await eventually(lambda: is_closed(house, "consul"), what="the closed breaker in /status")


def knows_one(house: House) -> float | None:
    """When the bot was told that one logsvc is left, in seconds since 1970."""
    lines = [json.loads(line) for line in house.bots[-1].output().splitlines() if '"peers_changed"' in line]
    told = [line for line in lines if line["peer"] == "logsvc"][-1]
    return datetime.fromisoformat(told["timestamp"]).timestamp() if told["count"] == 1 else None


async def is_closed(house: House, dependency: str) -> bool:
    text, _ = await house.ask("/status", expect="breaker telegram")
    return f"breaker {dependency}: closed" in text


async def test_a_bot_started_without_postgres_answers_and_rings_later(house: House, postgres_link: Link) -> None:
    await postgres_link.set("refusing")
    await house.put(snapshot("orders", waiting=5))
    await house.start_bot(wait=False)
    await eventually(lambda: polled(house), what="the first poll")
    _, seconds = await house.ask("/queues", expect="waiting 5")
    assert seconds < SOON
    await postgres_link.set("open")
    await greeted(house)


async def polled(house: House) -> bool:
    return bool(await house.calls("getUpdates"))


async def test_strangers_hear_their_id_and_nothing_else(house: House) -> None:
    await house.start_bot()
    await make_chat(house, id=2002, first_name="Stranger")
    await make_chat(house, id=-1_000_000_000_555, title="elsewhere", members=[{"user_id": 2002}], bot_status="member")
    await house.say("/queues", chat=-1_000_000_000_555, user=2002)
    await house.say("/queues", chat=2002, user=2002)
    await eventually(lambda: house.has_text("Your Telegram id is 2002.", 2002), what="the stranger's id")
    await house.say("/queues@another_bot")
    await house.say("/whoami", chat=CHAT)
    await eventually(lambda: house.has_text("this chat's id is 1001"), what="the admin's answer")
    assert len(await house.texts(2002)) == 1
    assert len(await house.texts()) == 1
    assert await house.texts(-1_000_000_000_555) == []


async def test_a_member_of_an_alert_group_is_answered_in_private(house: House) -> None:
    group = -1_000_000_000_777
    await make_chat(house, id=2002, first_name="Ann")
    await make_chat(house, id=group, title="ops", members=[{"user_id": 2002}], bot_status="administrator")
    await house.start_bot(TELEGRAM_ALERT_CHATS=str(group), TELEGRAM_ADMINS="")
    await house.say("/status", chat=2002, user=2002)
    await eventually(lambda: house.has_text("Telegram: polled", 2002), what="the member's answer")
    await house.say("/whoami", chat=group, user=2002)
    await eventually(lambda: house.has_text(f"this chat's id is {group}", group), what="the answer in the group")


async def test_errors_schedules_and_routes_are_told_and_what_is_down_is_said(
    house: House, logsvc: FakeLogsvc, link: Link
) -> None:
    logsvc.errors = [
        {
            **{"fingerprint": "f1", "error": "no <money>", "error_type": "CardError", "failures": 12, "is_new": True},
            **{"job_name": "charge", "final_failures": 3, "last_seen": "2026-11-22T03:00:00Z", "queue_count": 3},
            "queues": [{"env": "prod", "source": "main", "queue": "orders"}],
        }
    ]
    nightly = {"source": "main", "queue": "orders", "scheduler": "nightly", "pattern": "0 3 * * *"}
    hourly = {**nightly, "scheduler": "hourly", "pattern": "", "every": 3_600_000}
    logsvc.schedulers = [
        {**hourly, "next_run": "2026-11-22T04:00:00Z", "last_run": "2026-11-22T03:00:00Z", "last_outcome": "completed"},
        {**nightly, "next_run": "2026-11-22T03:00:00Z", "is_overdue": True, "overdue_seconds": 600},
    ]
    deployed_at = datetime.fromtimestamp(time.time() - 3 * 3600, UTC).isoformat()
    later = datetime.fromtimestamp(time.time() + 3600, UTC).isoformat()
    logsvc.markers = [
        {"ts": later, "env": "prod", "service": "shop", "version": "2.0", "by": "CI"},
        {"ts": deployed_at, "env": "prod", "service": "shop", "version": "1.4.2", "by": "<CI>"},
        {"ts": deployed_at, "env": "staging", "service": "shop", "version": "1.5", "by": "CI"},
    ]
    await house.put(snapshot())
    own = SchedulerSnapshot(v=VERSION, ts=0, env="prod", source="main", queue="orders", scheduler="hourly", every=1)
    late = msgspec.structs.replace(own, scheduler="nightly", is_overdue=True, overdue_seconds=600)
    for one in (own, late):
        await house.put_row(house.topics.schedulers, f"main:orders:{one.scheduler}", one)
    await house.start_bot(
        LOGSVC_URL=f"http://127.0.0.1:{link.port}",
        TELEGRAM_ALERT_CHATS=f"staging=77,main/ord*={CHAT}:silent",
        BOT_RULES_OFF="memory,evictions",
    )
    await greeted(house)
    await house.put(failure(fingerprint="f9"), failure(fingerprint="f9"))
    told = "🚀 shop 1.4.2 was deployed by <CI>, 3 h before it began"
    await eventually(lambda: house.has_text(told), what="the last deploy before the alert, on its card")
    text, _ = await house.ask("/errors orders", expect="Errors of the last day · main/orders")
    assert "orders +2 · charge · CardError · new" in text
    assert "12 failures, 3 for good" in text
    text, _ = await house.ask("/schedulers", expect="2 schedules, 1 overdue")
    assert text.index("nightly") < text.index("hourly")
    assert "overdue by 10 min" in text
    assert "every 60 min" in text
    await house.ask("/schedulers ordres", expect="Did you mean")
    await house.ask("/silence orders 1h", expect="Silenced until")
    text, _ = await house.ask("/handover", expect="Handover")
    assert "Lost before they were read: " in text, "history knows of every gap"
    await house.ask("/rules depth off", expect="It is now so")
    await house.ask("/rules slow fire=9", expect="It is now so")
    text, _ = await house.ask("/route orders", expect="main/orders (prod) rings in")
    assert f"chat {CHAT}, without a sound: entry 2 of TELEGRAM_ALERT_CHATS, main/ord*" in text
    assert "Watched by 17 of 20 rules" in text
    assert "memory: off by BOT_RULES_OFF" in text
    assert "depth: off by" in text
    assert "slow: fire=9, resolve=3, for=10m, quiet=5m, least=50 by" in text
    assert "But it is kept quiet now:" in text
    logsvc.lines = [
        {"ts": "2026-11-22T03:00:01Z", "job_id": "7", "level": "error", "message": "no <money>\nleft\u202e"},
        {"ts": "2026-11-22T03:00:00Z", "job_id": "7", "level": "info", "message": "charging"},
    ]
    await house.ask("/logs orders", expect="not shown here")
    logsvc.jobs["main/orders/7"] = {"state": "failed", "data": '{"amount": "<9>"}', "result": '"ok"'}
    text, _ = await house.ask("/job orders 7", expect="failed")
    assert "amount" not in text
    await house.ask("/here queue=orders", expect="queue=orders")
    await house.ask("/subscribe data on", expect="may be shown here")
    text, _ = await house.ask("/job orders 7", expect='data {"amount": "<9>"}')
    assert 'result "ok"' in text
    text, _ = await house.ask("/logs orders 7 ?no money", expect="Newest log lines of main/orders · job 7")
    assert text.index("charging") < text.index("🔴 22 Nov 03:00:01 UTC 7 no <money> left")
    assert "\u202e" not in text
    asked = {"kind": "log", "source": "main", "queue": "orders", "limit": "20", "job_id": "7", "q": "no money"}
    assert logsvc.asked_lines == [asked]
    await link.set("refusing")
    text, seconds = await house.ask("/errors", expect="History (logsvc) does not answer")
    assert seconds < SOON
    pressed = await house.press((await house.messages())[-1], "Open incidents")
    assert pressed["answered"]
    assert " s old (" in (await house.message("1 open, 0 nobody has acked"))["text"]
    text, seconds = await house.ask("/schedulers", expect="History (logsvc) does not answer")
    assert "2 schedules, 1 overdue" in text
    assert text.index("orders · nightly") < text.index("orders · hourly")
    assert "overdue by 10 min" in text
    assert " s old (" in text, "as the bot itself has read them"
    assert seconds < SOON


async def make_chat(house: House, **chat: Any) -> None:
    (await house.client.post("/sandbox/chats", json=chat)).raise_for_status()
