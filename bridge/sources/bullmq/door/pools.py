"""Pools of connections to one process, or to whoever the sentinels say is it."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, cast

from redis.asyncio import BlockingConnectionPool, Connection, SSLConnection
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.exceptions import RedisError

from bridge.sources.bullmq.door.cancelling import cancellable
from bridge.sources.bullmq.door.link import ASK_SECONDS
from bridge.topology import Address, Credentials, Tls, Topology

CLIENT_NAME = "tocsin-bridge"
MAX_CONNECTIONS = 256
CONNECT_SECONDS = 5
SENTINEL_SECONDS = 2
"""For each of them: one that is silent must not use up the time of the others."""

_CLIENT = re.compile(r"<redis\S*?Redis\(.*?\bhost=([^,]*),port=(\d+).*?\)>\)>\)> - ")
"""A sentinel's client as redis-py shows it, with all its options."""


class Pool(Protocol):
    """What Single needs of a pool."""

    async def get_connection(self) -> Any:
        """A connection that is logged in."""
        ...

    async def release(self, connection: Any) -> None:
        """Give it back."""
        ...

    async def look_around(self) -> None:
        """Notice that the process to talk to is another one now."""
        ...

    @property
    def process(self) -> str:
        """Which it is, where that may change."""
        ...

    def reached(self, connection: Any) -> str:
        """Which one a connection leads to, in the same words."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class FixedPool(BlockingConnectionPool):
    """To one address for ever; a call waits for a free connection."""

    async def look_around(self) -> None:
        """Nothing changes."""

    @property
    def process(self) -> str:
        return ""

    def reached(self, connection: Any) -> str:
        return ""


class Sentinels(Sentinel):
    """All of those that are configured, for ever.

    redis-py puts who answered to the head of its list, in place: of several calls at once one overwrites another's, and
    a sentinel is asked no more.
    """

    sentinels: list[Any]

    def __init__(self, addresses: list[tuple[str, int]], **options: Any) -> None:
        cast(Any, super()).__init__(addresses, **options)
        self._all = tuple(self.sentinels)
        for sentinel in self._all:
            sentinel.connection_pool.connection_class = cancellable(sentinel.connection_pool.connection_class)

    async def discover_master(self, service_name: str) -> Any:
        try:
            return await cast(Any, super()).discover_master(service_name)
        finally:
            self.sentinels = list(dict.fromkeys([*self.sentinels, *self._all]))


def closing_at_once(kind: Any) -> Any:
    """The same kind of connection, whose end nobody waits for.

    A process that was stopped never answers the end of TLS. Of two that wait for it at a time, the one that gives up
    first cancels what the other waits for: that would pass for a wish that our whole part should end.
    """

    class ClosingAtOnce(kind):
        async def disconnect(self, nowait: bool = True, **more: Any) -> None:
            await kind.disconnect(self, nowait=True, **more)

    return cast(Any, ClosingAtOnce)


class PrimaryPool(SentinelConnectionPool):
    """To the primary as the sentinels name it.

    We write nothing, so an old primary never refuses us: a connection to it must not outlive the sentinels' word.
    """

    sentinel_manager: Any
    service_name: str

    async def get_master_address(self) -> Any:
        before = cast(Any, self).master_address
        try:
            address = await cast(Any, super()).get_master_address()
        except RedisError as error:
            reason = _CLIENT.sub(r"\1:\2 ", str(error))
            raise ConnectionFailed(f"no sentinel tells where {self.service_name} is: {reason}") from error
        if before is not None and address != before:
            await self.update_active_connections_for_reconnect()
        return address

    async def ensure_connection(self, connection: Any) -> None:
        """Connect it to whom the sentinels name now, however it was spared when they named another.

        redis-py closes what is idle then; what is given back meanwhile it misses.
        """
        if connection.is_connected and self.reached(connection) != self.process:
            await connection.disconnect()
        await cast(Any, super()).ensure_connection(connection)
        if self.reached(connection) != self.process:
            raise ConnectionFailed(f"{self.service_name} is another by now")

    @property
    def process(self) -> str:
        return str(cast(Any, self).master_address or "")

    def reached(self, connection: Any) -> str:
        return str((connection.host, connection.port))

    async def look_around(self) -> None:
        """Ask the sentinels again."""
        await self.get_master_address()

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


class ReplicaPool(PrimaryPool):
    """To one replica as long as the sentinels call it well: another one may be behind what was read already.

    To the primary where there is no replica.
    """

    _chosen: tuple[str, int] | None = None

    async def rotate_slaves(self) -> AsyncIterator[tuple[str, int]]:
        for address in await self._known():
            await self._choose(address)
            yield address
        primary = await self.get_master_address()
        await self._choose(primary)
        yield primary

    @property
    def process(self) -> str:
        return str(self._chosen or "")

    async def look_around(self) -> None:
        """Leave a replica that is none any more, or not well."""
        known = await self._known()
        if known and self._chosen not in known:
            await self._choose(None)

    async def _known(self) -> list[tuple[str, int]]:
        """The replicas that are well, the chosen one first."""
        found = cast(list[tuple[str, int]], await self.sentinel_manager.discover_slaves(self.service_name))
        return sorted(found, key=lambda address: (address != self._chosen, address))

    async def _choose(self, address: tuple[str, int] | None) -> None:
        if self._chosen is not None and address != self._chosen:
            await self.disconnect(inuse_connections=False)
            await self.update_active_connections_for_reconnect()
        self._chosen = address


def pool_of_url(
    url: str,
    *,
    tls: Tls | None = None,
    credentials: Credentials | None = None,
    at: Address | None = None,
    client_name: str = CLIENT_NAME,
    **more: Any,
) -> Pool:
    """To the Redis of an address; at: to this one instead, which is like it but for host and port.

    more: redis-py's own options of a connection, or of the pool.
    """
    told: dict[str, Any] = {**_login(credentials), **_tls(tls), **parse_url(url)}
    if at is not None:
        told |= {"host": at.host, "port": at.port}
    pool: Any = FixedPool  # redis-py leaves these parameters untyped
    usual = {"timeout": ASK_SECONDS, "max_connections": MAX_CONNECTIONS, **_common(client_name)}
    return pool(**{**usual, **more, **told})


def pool_to(address: Address, topology: Topology, *, most: int, **more: Any) -> Pool:
    """To one node of a cluster. more: redis-py's own options of a connection."""
    kind = SSLConnection if topology.tls is not None else Connection
    told = {**connection_options(topology), **more}
    pool: Any = FixedPool
    return pool(
        connection_class=kind, host=address.host, port=address.port, max_connections=most, timeout=ASK_SECONDS, **told
    )


def pool_by_sentinels(topology: Topology, *, of_replica: bool, **more: Any) -> Pool:
    """To the primary, or a replica of it. more: redis-py's own options of a connection."""
    login, tls = topology.credentials, {"ssl": topology.tls is not None, **_tls(topology.tls)}
    waits = {"socket_connect_timeout": SENTINEL_SECONDS, "socket_timeout": SENTINEL_SECONDS, "retry": _once()}
    as_whom = {"username": login.sentinel_username, "password": _text(login.sentinel_password)} if login else {}
    sentinels = [(node.host, node.port) for node in topology.nodes]
    manager = Sentinels(sentinels, sentinel_kwargs={**waits, **as_whom, **tls, "driver_info": None, "protocol": 2})
    pool: Any = ReplicaPool if of_replica else PrimaryPool
    kind = SentinelManagedSSLConnection if topology.tls is not None else SentinelManagedConnection
    return pool(
        topology.master,
        manager,
        connection_class=closing_at_once(kind),
        is_master=not of_replica,
        max_connections=MAX_CONNECTIONS,
        db=database(topology),
        **{**connection_options(topology), **more},
    )


def database(topology: Topology) -> int:
    """The number of the database that its connections use."""
    url = topology.url.get_secret_value() if topology.url else ""
    return parse_url(url).get("db", 0) if url else topology.db or 0


def connection_options(topology: Topology) -> dict[str, Any]:
    """How a source's Redis is connected to, wherever it is, in redis-py's words."""
    return {**_common(CLIENT_NAME), **_login(topology.credentials), **_tls(topology.tls)}


def _common(client_name: str) -> Mapping[str, Any]:
    return {
        "protocol": 2,
        "client_name": client_name,
        "driver_info": None,  # CLIENT SETINFO is unknown before Redis 7.2
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": None,
        "retry": _once(),
    }


def _once() -> Retry:
    """Whoever asked tries again; redis-py of itself would, for many seconds, each sentinel in turn."""
    return Retry(NoBackoff(), 0)


def _login(credentials: Credentials | None) -> Mapping[str, Any]:
    if credentials is None:
        return {}
    return {"username": credentials.username, "password": _text(credentials.password)}


def _tls(tls: Tls | None) -> Mapping[str, Any]:
    if tls is None:
        return {}
    files = {"ssl_ca_certs": tls.ca_file, "ssl_certfile": tls.cert_file, "ssl_keyfile": tls.key_file}
    return {"ssl_check_hostname": tls.check_hostname, **{name: str(file) for name, file in files.items() if file}}


def _text(secret: Any) -> str | None:
    return None if secret is None else secret.get_secret_value()
