"""A source's acting topology -> the client that BullMQ's own library writes with."""

import math
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisError

from bridge.sources.bullmq.door.cancelling import cancellable
from bridge.sources.bullmq.door.pools import MAX_CONNECTIONS, connection_options, pool_by_sentinels, pool_of_url
from bridge.topology import Topology

CLIENT_NAME = "tocsin-actions"

_send_by: ContextVar[float] = ContextVar("send_by", default=math.inf)


class TooLate(RedisError):
    """The command was not sent: its time had passed."""


@contextmanager
def sending_until(deadline: float) -> Generator[None]:
    """Send nothing after a monotonic time, from here on and in tasks begun here: raise TooLate.

    It is looked at in the moment of sending: a process that was stopped after a check, and wakes later, sends nothing.
    """
    token = _send_by.set(deadline)
    try:
        yield
    finally:
        _send_by.reset(token)


def _punctual(kind: Any) -> Any:
    """The same kind of connection, which looks at the clock before it sends.

    What redis-py calls is begun as a task when there is a deadline for it: only inside is the moment of sending.
    """

    class Punctual(cancellable(kind)):
        async def _send_packed_command(self, command: Iterable[bytes]) -> None:
            if time.monotonic() > _send_by.get():
                raise TooLate
            self._writer.writelines(command)
            await self._writer.drain()

    return cast(Any, Punctual)


class ActingClient:
    """client: redis-py's, which never repeats a command by itself, and waits for nothing for ever.

    most: connections to one Redis; a further call waits for one.
    """

    def __init__(self, topology: Topology, *, most: int, seconds: float) -> None:
        waits = {"socket_connect_timeout": seconds, "socket_timeout": seconds}
        more: dict[str, Any] = {
            **waits,
            "client_name": CLIENT_NAME,
            "decode_responses": True,
            "encoding_errors": "replace",
        }
        self._pool: Any = None
        if topology.mode == "cluster":
            self.client = _cluster(topology, more)
            return
        if topology.mode == "sentinel":
            self._pool = pool_by_sentinels(topology, of_replica=False, **more)
        else:
            url = topology.url.get_secret_value() if topology.url else ""
            options: dict[str, Any] = {**more, "max_connections": most, "timeout": seconds}
            self._pool = pool_of_url(url, tls=topology.tls, credentials=topology.credentials, **options)
        self._pool.connection_class = _punctual(self._pool.connection_class)
        self.client = cast(Any, Redis).from_pool(self._pool)

    async def look_around(self) -> None:
        """Leave a primary that was replaced: while it still answers it takes writes, and they are lost."""
        if self._pool is not None:
            await self._pool.look_around()

    async def ping(self) -> None:
        """Ask whether Redis answers; of a cluster any node will do, since one that is down must not stop the others."""
        await (self.client.ping(target_nodes=RedisCluster.RANDOM) if self._pool is None else self.client.ping())

    async def learn_anew(self) -> None:
        """Forget who is there, after a failure: a cluster's pipeline asks a dead node again, whoever took over."""
        if self._pool is None:
            await self.client.aclose()

    async def close(self) -> None:
        """Close every connection."""
        await self.client.aclose()
        if self._pool is not None:
            await self._pool.aclose()


def _cluster(topology: Topology, more: dict[str, Any]) -> Any:
    """Follows a slot that moved by itself: a node that sends a command elsewhere has not run it.

    A slot that moved changes what is known of that slot only: asking for all anew closes the connections in use. Where
    a cluster goes on without some of its slots, so do we.
    """
    told = {**connection_options(topology), **more, "ssl": topology.tls is not None}
    nodes = [ClusterNode(node.host, node.port) for node in topology.nodes]
    cluster: Any = RedisCluster
    made = cluster(
        startup_nodes=nodes,
        reinitialize_steps=0,
        require_full_coverage=False,
        max_connections=MAX_CONNECTIONS,
        **told,
    )
    kind = _punctual(made.connection_kwargs["connection_class"])
    made.connection_kwargs["connection_class"] = kind  # of the nodes it will find
    for node in made.startup_nodes:
        node.connection_class = kind
    return made
