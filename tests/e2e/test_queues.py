"""`/queues` and `/chart` in the chat equal BullMQ's own counts, every state non-zero, paused or not, on v5 and v6."""

import re

from tests.bullmq.driver import make_states
from tests.bullmq.records import Counts
from tests.eventually import eventually
from tests.product import Product

STATES = ("waiting", "active", "delayed", "prioritized", "waiting-children", "completed", "failed")


def told_counts(text: str) -> dict[str, dict[str, int]]:
    """The list's text -> queue -> counts by state; `paused` is 1 where the list says so."""
    told: dict[str, dict[str, int]] = {}
    queue = ""
    for line in text.splitlines():
        if title := re.match(r"^\S+ (\S+) · \S+( · paused)?$", line):
            queue = title[1]
            told[queue] = {"paused": int(bool(title[2]))}
        elif queue and line.startswith("   "):
            told[queue] |= {word: int(count) for word, count in re.findall(r"([a-z-]+) (\d+)(?=,| ·)", line)}
    return told


def own_counts(counted: Counts) -> dict[str, int]:
    """BullMQ's own answer in the same words."""
    return {state: counted.counts.get(state, 0) for state in STATES} | {
        "waiting": counted.waiting,
        "paused": int(counted.is_paused),
        "workers": 0,
    }


async def test_queues_and_chart_equal_bullmqs_own_counts(tocsin: Product, redis_url: str) -> None:
    counted = await make_states(redis_url)
    expected = {one.queue: own_counts(one) for one in counted}
    assert all(all(counts[state] for state in STATES) for counts in expected.values())
    for service in ("sandbox", "logsvc", "bridge", "bot"):
        await tocsin.start(service)
    await tocsin.ready()
    await eventually(lambda: _greeted(tocsin, len(counted)), what="the first message")

    async def history_has_all() -> bool:
        told = (await tocsin.get("/api/v1/queues"))["items"]
        return {item["queue"] for item in told} == set(expected)

    await eventually(history_has_all, what="every queue at logsvc, which the bot asks")
    await tocsin.say("/queues")

    async def answered() -> bool:
        return any(told_counts(text) for text in await _texts(tocsin) if "in trouble" in text)

    await eventually(answered, what="an answer to /queues")
    answer = next(text for text in reversed(await _texts(tocsin)) if told_counts(text))
    assert told_counts(answer) == expected
    assert re.search(r"\d+ s old", answer), "an answer must say how old its numbers are"

    one = counted[0]
    ended = rf"completed {one.counts['completed']} \(.*\), failed for good {one.counts['failed']}, tried again 0"

    async def charted() -> bool:
        """Ask anew until history, which may be a moment behind, has it all."""
        asked = len(await tocsin.chat())
        await tocsin.say(f"/chart {one.queue}")
        await eventually(lambda: _has_more_than(tocsin, asked + 1), what="an answer to /chart")
        newest = (await tocsin.chat())[-1]
        return "photo" in newest and re.search(ended, newest["caption"]) is not None

    await eventually(charted, what="a chart with BullMQ's own counts below it")


async def _texts(tocsin: Product) -> list[str]:
    return [message.get("text", "") for message in await tocsin.chat()]


async def _has_more_than(tocsin: Product, count: int) -> bool:
    return len(await tocsin.chat()) > count


async def _greeted(tocsin: Product, queues: int) -> bool:
    return any(f"Watching {queues} queues" in text for text in await _texts(tocsin))
