"""After a restart a job is known from its beginning, also if a page read for another one held the end of its past."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.memory import QueueMemory
from bridge.sources.bullmq.past import Past
from bridge.sources.bullmq.stream import Entry, Position
from tests.integration.bridge.by_hand import add_events

STREAM = "bull:mail:events"
PAGE = 100
"""As many entries are read back first."""


@pytest.fixture
async def door(redis_url: str) -> AsyncGenerator[Door]:
    made = Door(redis_url)
    yield made
    await made.close()


async def add(app: Any, job_id: str, *events: str) -> str:
    """Entries of one job; return the last one's id."""
    last = b""
    for event in events:
        named = {"name": "send"} if event == "added" else {"prev": "delayed"} if event == "waiting" else {}
        last = await app.xadd(STREAM, {"event": event, "jobId": job_id, **named})
    return last.decode()


def next_of(job_id: str, event: str) -> Entry:
    return Entry("9-0", {"event": event, "jobId": job_id}, event, job_id, 9, 10)


async def test_job_that_a_page_read_for_another_cut_off_is_known_whole(app: Any, door: Door) -> None:
    await add(app, "retried", "added", "active", "delayed")
    await add_events(app, "mail", PAGE)
    await add(app, "retried", "waiting", "active")
    last_id = await add(app, "quick", "added", "active")
    past, memory = Past(Position(last_id, PAGE + 7)), QueueMemory()

    await past.recall(door, STREAM, last_id, [next_of("quick", "completed")], memory)
    for _ in range(2):
        await past.recall(door, STREAM, last_id, [next_of("retried", "delayed")], memory)
        known = memory.known("retried")
        assert known is not None
        assert (known.name, known.runs, len(known.unsettled)) == ("send", 2, 1)
        assert known.is_active


async def test_job_whose_beginning_was_trimmed_stays_known_in_part(app: Any, door: Door) -> None:
    began = int((await add(app, "retried", "active")).partition("-")[0])
    last_id = await add(app, "quick", "added", "active")
    past, memory = Past(Position(last_id, 500)), QueueMemory()

    await past.recall(door, STREAM, last_id, [next_of("quick", "completed")], memory)
    await past.recall(door, STREAM, last_id, [next_of("retried", "completed")], memory)
    known = memory.known("retried")
    assert known is not None
    assert (known.is_active, known.active_since) == (True, began)
