"""Sentinels as redis-py asks them, many at a time."""

import asyncio
from typing import Any

import pytest
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import ConnectionError as ConnectionFailed

from bridge.sources.bullmq.door.pools import PrimaryPool, Sentinels, pool_by_sentinels
from bridge.topology import Topology

PRIMARY: dict[str, Any] = {"ip": "10.0.0.1", "port": 6379, "is_master": True, "is_sdown": False, "is_odown": False}


class Connected:
    """A connection that reaches nobody, made by a pool as redis-py makes its own. address: None = it is closed."""

    def __init__(self, connection_pool: Any, while_connecting: Any = None, **options: Any) -> None:
        self._pool = connection_pool
        self._while_connecting = while_connecting
        self._is_marked = False
        self.address: tuple[str, int] | None = None
        self.host, self.port = "", 0

    @property
    def is_connected(self) -> bool:
        return self.address is not None

    async def connect(self) -> None:
        if self.address is None:
            address = await self._pool.get_master_address()
            if self._while_connecting is not None:
                await self._while_connecting()
            self.address = self.host, self.port = address

    async def disconnect(self) -> None:
        self.address, self._is_marked = None, False

    async def can_read(self) -> bool:
        return False

    async def re_auth(self) -> None:
        """Nobody asks who we are."""

    def mark_for_reconnect(self) -> None:
        self._is_marked = True

    def should_reconnect(self) -> bool:
        return self._is_marked


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


async def test_connection_given_back_while_the_idle_ones_are_closed_does_not_outlive_the_word_of_the_sentinels() -> (
    None
):
    """An old primary goes on answering: what it holds would be read by turns with what the new one holds."""
    named = {"primary": ("10.0.0.1", 6379)}
    closing, may_close = asyncio.Event(), asyncio.Event()

    async def discover_master(service_name: str) -> tuple[str, int]:
        return named["primary"]

    manager: Any = type("Manager", (), {"discover_master": staticmethod(discover_master)})
    pool: Any = PrimaryPool("main", manager, connection_class=Connected)
    in_use, idle = await pool.get_connection(), await pool.get_connection()
    await pool.release(idle)

    async def close_slowly() -> None:
        closing.set()
        await may_close.wait()
        idle.address = None

    idle.disconnect = close_slowly
    named["primary"] = ("10.0.0.2", 6379)
    looking = asyncio.create_task(pool.look_around())
    await closing.wait()
    await pool.release(in_use)
    may_close.set()
    await looking
    again = [await pool.get_connection() for _ in range(2)]
    assert {connection.address for connection in again} == {("10.0.0.2", 6379)}


async def test_connection_made_while_the_sentinels_change_their_word_is_not_used() -> None:
    named = [("10.0.0.1", 6379), ("10.0.0.2", 6379)]

    async def discover_master(service_name: str) -> tuple[str, int]:
        return named.pop(0) if len(named) > 1 else named[0]

    manager: Any = type("Manager", (), {"discover_master": staticmethod(discover_master)})
    pool: Any = PrimaryPool("main", manager, connection_class=Connected)
    pool.connection_kwargs["while_connecting"] = pool.look_around
    with pytest.raises(ConnectionFailed, match="another by now"):
        await pool.get_connection()
    assert (await pool.get_connection()).address == ("10.0.0.2", 6379)


class Unending:
    """The writer of a connection to a process that was stopped: it never agrees to the end of TLS."""

    def close(self) -> None:
        """It would wait."""

    async def wait_closed(self) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("of_replica", [False, True])
@pytest.mark.parametrize("tls", [None, {"check_hostname": False}])
async def test_nobody_waits_for_the_end_of_a_connection_to_a_process_that_was_stopped(
    tls: dict[str, bool] | None, of_replica: bool
) -> None:
    topology = Topology.model_validate({"mode": "sentinel", "nodes": ["127.0.0.1:1"], "master": "main", "tls": tls})
    pool: Any = pool_by_sentinels(topology, of_replica=of_replica)
    connection = pool.make_connection()
    connection._reader, connection._writer = asyncio.StreamReader(), Unending()
    await connection.disconnect()
    assert not connection.is_connected
