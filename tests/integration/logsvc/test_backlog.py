"""How full queues were: no part of them passes for the whole."""

import json
import time

from logsvc.api.backlog import looked_at, without_unfinished
from logsvc.api.buckets import Buckets
from logsvc.api.journal import Journal, sets
from logsvc.store import Store

WIDTH = 120_000
START = 1_795_000_080_000 // WIDTH * WIDTH


def snapshot(queue: str, bucket: int, waiting: int, source: str = "main") -> bytes:
    row = {"ts": START + bucket * WIDTH + 5, "env": "prod", "source": source, "queue": queue, "waiting": waiting}
    return json.dumps(row).encode()


async def test_a_sum_of_which_a_queue_is_missing_is_not_told(store: Store) -> None:
    """mail is away twice, once as the time begins; old is gone for good; new comes later."""
    seen = {"orders": (-3, 0, 1, 2, 3, 4, 5, 6), "mail": (-20, 2, 3, 5, 6), "old": (0, 1, 2, 3), "new": (5, 6)}
    rows = [snapshot(queue, bucket, 10) for queue, buckets in seen.items() for bucket in buckets]
    rows.append(snapshot("orders", 2, 1, source="other"))
    await store.insert("queue_snapshots", b"\n".join(rows), "t")
    gone = {"ts": START + 3 * WIDTH + 50_000, "kind": "event", "event": "gone", "env": "prod", "source": "main"}
    await store.insert("journal", json.dumps(gone | {"queue": "old"}).encode(), "t")
    journal = Journal(store, lambda: None, time.time)
    buckets = Buckets(START, START + 8 * WIDTH, WIDTH)
    told = await looked_at(journal, sets({"source": ["main"]}), buckets)
    assert [one.waiting for one in told] == [None, None, 30, 30, None, 30, 30, None]
    assert [(one.queues, one.missing) for one in told] == [
        (2, 1),
        (2, 1),
        (3, 0),
        (3, 0),
        (1, 1),
        (3, 0),
        (3, 0),
        (0, 3),
    ]
    assert without_unfinished(told, buckets, START).end == START + 7 * WIDTH, "the newest is not complete yet"
    assert without_unfinished(told, buckets, buckets.end).end == buckets.end, "it is, and nobody looked"
    assert without_unfinished(told[:1], Buckets(START, START + WIDTH, WIDTH), START).starts == range(
        START, START, WIDTH
    )
