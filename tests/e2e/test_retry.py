"""Retry from the alert: counted, confirmed, done once by the real bridge on real BullMQ, and followed to its end."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from tests.bullmq import node
from tests.clients import redis
from tests.eventually import READY_SECONDS, eventually
from tests.integration.bridge.failed_jobs import retries
from tests.pictures import keep_chat
from tests.product import CHAT, Product

JOBS, BAD, REMOVED = 40, 6, 3


async def bullmq(redis_url: str, do: str, jobs: int, bad: int = 0) -> None:
    await node.run(
        "retried.mjs",
        {"redis": redis_url, "queue": "orders", "do": do, "jobs": jobs, "bad": bad},
        seconds=READY_SECONDS,
    )


async def found(tocsin: Product, part: str) -> dict[str, Any]:
    """The newest message of the chat that holds this, once there is one."""
    messages: list[dict[str, Any]] = []

    async def is_there() -> bool:
        messages[:] = [one for one in await tocsin.chat() if part in one.get("text", "") and one["from"]["is_bot"]]
        return bool(messages)

    await eventually(is_there, what=f"a message with {part!r}")
    return messages[-1]


def keys(message: Mapping[str, Any]) -> dict[str, str]:
    """The buttons under a message: label -> data."""
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return {key["text"]: key.get("callback_data", "") for row in rows for key in row}


async def tap(tocsin: Product, message: Mapping[str, Any], label: str) -> str:
    """Press a button; return what the bot answered the press with."""
    body = {
        "chat_id": CHAT,
        "user_id": CHAT,
        "message_id": message["message_id"],
        "data": keys(message)[label],
        "is_stale": True,
        "wait_seconds": 60,
    }
    async with httpx.AsyncClient(base_url=tocsin.url("sandbox"), timeout=READY_SECONDS) as client:
        pressed = (await client.post("/sandbox/callbacks", json=body)).raise_for_status().json()
    assert pressed["answered"], "the bot did not answer the press"
    return pressed["answer"].get("text", "")


async def test_retry_these_is_counted_confirmed_done_once_and_followed_across_a_kill(
    tocsin: Product, redis_url: str
) -> None:
    tocsin.environ |= {
        "TOCSIN_SERVICE_TOKEN": "service-token-of-the-test",
        "REDIS_ACTIONS_URL": redis_url,
        "BRIDGE_URL": tocsin.url("bridge"),
        "BOT_EDIT_SECONDS": "0.2",
    }
    for service in ("sandbox", "bridge", "bot"):
        await tocsin.start(service)
    await tocsin.ready()
    await bullmq(redis_url, "fail", JOBS)
    card = await found(tocsin, f"ProviderDown ×{JOBS}")
    await keep_chat(tocsin.url("sandbox"), f"Retry these {JOBS}", "alert")

    await tap(tocsin, card, f"🔁 Retry these {JOBS}")
    question = await found(tocsin, f"Retry {JOBS} jobs of orders?")
    assert question["reply_to_message"]["message_id"] == card["message_id"]
    await tap(tocsin, question, "Cancel")
    await found(tocsin, "nothing was done")
    await tap(tocsin, card, f"🔁 Retry these {JOBS}")
    question = await found(tocsin, "Confirm within")
    await keep_chat(tocsin.url("sandbox"), "Confirm within", "confirm")
    taps = await asyncio.gather(*(tap(tocsin, question, f"Yes, retry {JOBS}") for _ in range(3)))
    assert sorted(taps) == ["It has begun.", "It was begun already.", "It was begun already."]
    await found(tocsin, f"{JOBS} retried: {JOBS} on their way")

    await tocsin.kill("bot")
    await bullmq(redis_url, "remove", REMOVED, BAD)
    await bullmq(redis_url, "work", JOBS - REMOVED, BAD)
    await tocsin.start("bot")
    done = f"{JOBS} retried: {JOBS - BAD - REMOVED} completed, {BAD} failed again, {REMOVED} gone"
    told = await found(tocsin, f"🟠 {done}")
    assert told["message_id"] == question["message_id"], "the question itself tells what came of it"
    await keep_chat(tocsin.url("sandbox"), done, "outcome")
    card = await found(tocsin, f"ProviderDown ×{JOBS + BAD}")
    assert f": {done}" in card["text"], "the incident remembers it"
    client = redis.from_url(redis_url)
    try:
        assert set((await retries(client, "orders")).values()) == {1}
    finally:
        await client.aclose()

    await tap(tocsin, told, f"🔁 Retry the {BAD} that failed again")
    question = await found(tocsin, f"Retry {BAD} jobs of orders?")
    await tap(tocsin, question, f"Yes, retry {BAD}")
    await bullmq(redis_url, "work", BAD)
    await found(tocsin, f"✅ {BAD} retried: {BAD} completed")

    await tocsin.say("/pause orders")
    question = await found(tocsin, "Pause orders?")
    await tap(tocsin, question, "Yes, pause it")
    await found(tocsin, "orders is paused")
    await tocsin.say("/retry orders")
    await found(tocsin, "There is nothing to retry there now")
    await tocsin.say("/audit")
    audit = (await found(tocsin, "Who did what"))["text"]
    assert f"done: {JOBS - BAD - REMOVED} completed, {BAD} failed again, {REMOVED} gone" in audit
