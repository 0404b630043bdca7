"""Which processes a source is made of: itself, whoever the sentinels name, or every primary of a cluster."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from tocsin.doctor.environment import RedisSource
from tocsin.doctor.finding import Finding, bad, warn

WAITS = {"socket_connect_timeout": 2, "socket_timeout": 2, "retry": Retry(NoBackoff(), 0)}
NOT_WELL = "is every node up, and open to this machine? the list stands under `nodes` in TOCSIN_SOURCES_FILE"


@dataclass(frozen=True)
class Process:
    """One to look at. source: with the url that leads to it."""

    check: str
    source: RedisSource


async def find_processes(source: RedisSource) -> list[Process] | Finding:
    """Those the bridge would speak to, or why they cannot be known."""
    check = f"Redis {source.name}"
    if source.mode == "sentinel":
        return await _watched(check, source)
    if source.mode == "cluster":
        return await _sharded(check, source)
    replicas = source.nodes if source.reads_replica else ()
    copies = [Process(f"{check} replica", replace(source, url=_moved(source.url, address))) for address in replicas]
    return [Process(check, source), *copies]


async def wrong_mode(client: Any, check: str, source: RedisSource) -> list[Finding]:
    """A problem if this process is of another kind than its source says; a warning if a replica does not follow."""
    try:
        server = await client.info("server")
    except ResponseError:
        return []
    kind = str(server.get("redis_mode") or server.get("server_mode") or "standalone")
    if kind == "sentinel":
        return [
            _other_mode(check, source, "a sentinel", 'mode = "sentinel", master = "…" and nodes = ["host:26379", …]')
        ]
    if kind == "cluster" and source.mode != "cluster" and not await _is_alone(client):
        return [_other_mode(check, source, "one node of a cluster", 'mode = "cluster" and nodes = ["host:port", …]')]
    return await _link_of_replica(client, check) if check.endswith(" replica") else []


async def _watched(check: str, source: RedisSource) -> list[Process] | Finding:
    addresses = [_parts(node) for node in source.nodes]
    sentinel = Sentinel(addresses, sentinel_kwargs={**WAITS, **source.sentinel_options})
    try:
        host, port = await cast(Any, sentinel).discover_master(source.master)
        found = [Process(check, source.at(f"{host}:{port}"))]
        if source.reads_replica:
            replicas: list[tuple[str, int]] = await cast(Any, sentinel).discover_slaves(source.master)
            found += [Process(f"{check} replica", source.at(f"{host}:{port}")) for host, port in replicas]
        return found
    except (RedisError, OSError) as error:
        return bad(check, f"no sentinel tells where {source.master} is ({_why(error)})", NOT_WELL)
    finally:
        await sentinel.aclose()


async def _sharded(check: str, source: RedisSource) -> list[Process] | Finding:
    why = "no node is named"
    for node in source.nodes:
        try:
            async with connected(source.at(node)) as client:
                shards = await client.execute_command("CLUSTER", "SLOTS", NEVER_DECODE="")
        except NoPermissionError:
            rule = f"redis-cli ACL SETUSER {source.user} +cluster|slots"
            return bad(f"{check} rights", f"user {source.user} may not: cluster|slots", f"{rule}   on every node")
        except (RedisError, OSError) as error:
            why = f"{node}: {_why(error)}"
            if "cluster support disabled" in str(error):
                return bad(check, f"{node} is no node of a cluster", 'mode = "standalone" and its url for this source')
            continue
        addresses = sorted({_address(shard[2], node) for shard in shards})
        copies = sorted({_address(one, node) for shard in shards for one in shard[3:]}) if source.reads_replica else []
        return [
            *(Process(f"{check} {address}", source.at(address)) for address in addresses),
            *(Process(f"{check} {address} replica", source.at(address)) for address in copies),
        ]
    return bad(check, f"no node of the cluster answers ({why})", NOT_WELL)


async def _is_alone(client: Any) -> bool:
    try:
        shards = await client.execute_command("CLUSTER", "SLOTS", NEVER_DECODE="")
    except ResponseError:
        return False
    return len({_address(shard[2], "") for shard in shards}) == 1


async def _link_of_replica(client: Any, check: str) -> list[Finding]:
    try:
        link = await client.info("replication")
    except ResponseError:
        return []
    if link.get("role") == "slave" and link.get("master_link_status") != "up":
        return [warn(check, "it does not follow its primary: what it tells is old", "see its log, and the primary's")]
    return []


def _other_mode(check: str, source: RedisSource, what: str, keys: str) -> Finding:
    return bad(
        f"{check} mode",
        f"it is {what}, and its source says mode = {source.mode}: queues elsewhere would not be seen",
        f"{keys} for this source in TOCSIN_SOURCES_FILE",
    )


@asynccontextmanager
async def connected(source: RedisSource) -> AsyncGenerator[Any]:
    """A client of the process its url leads to, which waits for nothing for long. Raises ValueError, TypeError."""
    client = cast(Any, Redis).from_url(source.url, client_name="tocsin-doctor", **WAITS, **source.options)
    try:
        yield client
    finally:
        await client.aclose()


def _address(node: Any, asked: str) -> str:
    """host:port of a node in CLUSTER SLOTS; it may leave its own host out."""
    host = node[0].decode() if isinstance(node[0], bytes) else str(node[0] or "")
    host = host or asked.rpartition(":")[0]
    return f"[{host}]:{node[1]}" if ":" in host and not host.startswith("[") else f"{host}:{node[1]}"


def _parts(node: str) -> tuple[str, int]:
    host, _, port = node.rpartition(":")
    return host.strip("[]"), int(port)


def _moved(url: str, address: str) -> str:
    """The same url at another address: user and password hold for a replica too."""
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{login}{at}{address}").geturl()


def _why(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:120] if text else type(error).__name__
