"""Dead letters looked into and replayed, on a real Kafka and the embedded ClickHouse, by the API and in a browser."""

import hashlib
import time
from typing import Any
from urllib.parse import quote

from playwright.async_api import Page, expect

from tests.browser import open_page
from tests.clients import aiokafka
from tests.eventually import eventually
from tests.integration.logsvc.fake_bot import FakeBot
from tests.integration.logsvc.house import House
from tests.pictures import look
from tocsin.events import DeadLetter, encode

SERVICE = "a-service-token-of-the-tests"


async def passed_over(home: House, *values: bytes) -> list[DeadLetter]:
    """Records that a former release has passed over: the group is beyond them, and letters tell why."""
    producer = await home.producer()
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=home.kafka, group_id=f"{home.topics.prefix}logsvc", enable_auto_commit=False
    )
    await consumer.start()
    try:
        letters: list[DeadLetter] = []
        for value in values:
            sent = await producer.send_and_wait(home.topics.jobs, value, partition=1)
            origin = f"kafka:{home.topics.jobs}:1:{sent.offset}"
            letters.append(letter(origin, "JobEvent of contract version 1; this release reads 0", value))
        place = aiokafka.TopicPartition(home.topics.jobs, 1)
        consumer.assign([place])
        await consumer.commit({place: (len(values), "")})
        for one in letters:
            await producer.send_and_wait(home.topics.deadletter, encode(one), key=one.id.encode())
        return letters
    finally:
        await consumer.stop()


def letter(origin: str, reason: str, value: bytes, *, service: str = "logsvc") -> DeadLetter:
    return DeadLetter(
        v=1,
        id=origin,
        ts=int(time.time() * 1000),
        service=service,
        reason=reason,
        origin=origin,
        body=value.decode(),
        sha256=hashlib.sha256(value).hexdigest(),
        length=len(value),
    )


async def test_a_dead_letter_is_looked_into_and_stored_once_when_it_can_be(home: House) -> None:
    bot = FakeBot()
    home.environ |= {"TOCSIN_SERVICE_TOKEN": SERVICE, "BOT_URL": bot.url}
    now = int(time.time() * 1000)
    good, other = (encode(home.event(number, ts=now, job_name="charge", queue="orders")) for number in (7, 8))
    mended, second = await passed_over(home, good, other)
    newer = encode(home.event(9, ts=now)).replace(b'"v":1', b'"v":2')
    newer = newer[:-1] + b',"padding":"' + b"x" * 900 + b'"}'
    foreign = letter("redis:main:a/b %2F%:17-0", "the entry has no field `event`", b"{}", service="bridge")
    forged = letter(f"kafka:{home.topics.jobs}:1:0", "made up", b'{"v":1}')
    forged.id = "forged"
    producer = await home.producer()
    for one in (foreign, forged):
        await producer.send_and_wait(home.topics.deadletter, encode(one), key=one.id.encode())
    await producer.send_and_wait(home.topics.jobs, newer, partition=2)
    await home.start()
    await home.ready()

    async def listed() -> list[dict[str, Any]]:
        return (await home.json("/api/v1/dead-letters"))["items"]

    async def all_there() -> bool:
        return len(await listed()) == 5 and await home.all_stored()

    await eventually(all_there, what="five dead letters, one of them this logsvc's own")
    own = (await listed())[0]
    assert own["reason"] == "JobEvent of contract version 2; this release reads 1"
    assert (own["topic"], own["partition"], own["offset"], own["length"]) == (home.topics.jobs, 2, 0, len(newer))
    assert len(own["body"]) < len(newer)
    whole = await home.json(f"/api/v1/dead-letters/{quote(own['id'], safe='')}")
    assert whole["body"] == newer.decode()
    strange = await home.json(f"/api/v1/dead-letters/{quote(foreign.id, safe='')}")
    assert strange["id"] == foreign.id, "a queue's name may hold anything"
    assert (await home.get("/api/v1/dead-letters/nothing")).status_code == 404

    async def replay(request_id: str, *ids: str, dry_run: bool = False) -> Any:
        return await home.post(
            "/api/v1/dead-letters/replay", {"request_id": request_id, "ids": list(ids), "dry_run": dry_run}
        )

    every = (own["id"], mended.id, foreign.id, "forged", "nothing")
    planned = (await replay("look", *every, dry_run=True)).json()
    assert [one["outcome"] for one in planned["results"]] == ["refused", "storable", "not_ours", "gone", "unknown"]
    assert planned["count"] == 1
    assert (await replay("too soon", mended.id)).status_code == 400, "no such request_id"
    assert (await replay("too-soon", mended.id)).status_code == 503, "what no audit is told of is not done"
    assert await home.rows_told() == 0
    await bot.start()
    try:
        await eventually(lambda: _is_done(home, mended.id), what="the replay, once the bot is found")
        for request_id in ("once", "twice"):
            again = (await replay(request_id, mended.id)).json()
            assert (again["count"], again["outcomes"]) == (0, {"already_stored": 1})
        assert bot.deeds["r1"]["action"] == "replay"
        assert bot.deeds["r1"]["target"] == f"dead letter {mended.id}"
        assert bot.deeds["r1"]["outcome"] == "done: 1 stored"
        assert "look" not in bot.deeds, "to look is no deed"

        async with open_page(with_outage=True) as page:  # of all the bot has, there is only the audit
            await _replay_by_the_page(page, home)
        await home.kill()
        await home.start()
        await home.ready()
        await eventually(all_there, what="everything read again")
        assert sorted(row["job_id"] for row in (await home.json("/api/v1/logs"))["items"]) == ["7", "8"], "each once"
        assert (await replay("after", mended.id, second.id)).json()["outcomes"] == {"already_stored": 2}
    finally:
        await bot.stop()


async def _is_done(home: House, letter_id: str) -> bool:
    answer = await home.post("/api/v1/dead-letters/replay", {"request_id": "r1", "ids": [letter_id]})
    assert answer.status_code in (200, 503), answer.text
    return answer.status_code == 200


async def _replay_by_the_page(page: Page, home: House) -> None:
    await page.goto(f"{home.url}/system")
    letters = page.get_by_test_id("dead-letter")
    await expect(letters).to_have_count(5)
    await letters.first.locator("summary").click()
    await expect(letters.first).to_contain_text("padding")
    await expect(letters.first).to_contain_text(home.topics.jobs)
    await page.get_by_test_id("dead-letters").scroll_into_view_if_needed()
    await look(page, "dead-letters")
    await page.get_by_role("button", name="Replay these 4").click()
    dialog = page.get_by_test_id("replay-dialog")
    await expect(dialog).to_contain_text("1 can be stored now")
    await expect(dialog).to_contain_text("contract version 2")
    await look(page, "replay")
    await dialog.get_by_role("button", name="Store 1 record").click()
    await expect(dialog).to_contain_text("1 stored now")
    await expect(dialog).to_contain_text("1 stored before")
    await expect(dialog).to_contain_text("It stands in the audit")
