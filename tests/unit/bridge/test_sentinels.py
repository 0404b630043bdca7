"""Sentinels as redis-py asks them, many at a time."""

import asyncio
from typing import Any

import pytest
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import ConnectionError as ConnectionFailed

from bridge.sources.bullmq.door.pools import Sentinels

PRIMARY: dict[str, Any] = {"ip": "10.0.0.1", "port": 6379, "is_master": True, "is_sdown": False, "is_odown": False}


async def test_no_sentinel_is_forgotten_though_many_ask_while_one_is_away() -> None:
    sentinels = Sentinels([("a", 26379), ("b", 26379), ("c", 26379)])
    a, b, c = sentinels.sentinels
    away: set[Any] = set()

    def answering(sentinel: Any) -> Any:
        async def sentinel_masters() -> dict[str, dict[str, Any]]:
            await asyncio.sleep(0)
            if sentinel in away:
                raise ConnectionFailed("away")
            return {"main": {**PRIMARY, "num-other-sentinels": 2}}

        return sentinel_masters

    for sentinel in (a, b, c):
        sentinel.sentinel_masters = answering(sentinel)
    for gone in ({a}, {b}, {a, c}, {b, c}, {a, b}):
        away.clear()
        away.update(gone)
        assert {*await asyncio.gather(*(sentinels.discover_master("main") for _ in range(8)))} == {("10.0.0.1", 6379)}
        assert {*sentinels.sentinels} == {a, b, c}
        assert len(sentinels.sentinels) == 3
    away.update({a, b, c})
    with pytest.raises(MasterNotFoundError):
        await sentinels.discover_master("main")
