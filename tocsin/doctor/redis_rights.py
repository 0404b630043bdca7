"""What the bridge's user may do on a Redis: every command it sends is tried, on a key that does not exist."""

from collections.abc import Awaitable
from typing import Any, cast

from redis.exceptions import NoPermissionError, ResponseError

from tocsin.doctor.environment import RedisSource
from tocsin.doctor.finding import Finding, bad, note

CONNECT = ("hello", "auth", "ping", "select", "client|id", "client|setname")
"""What any connection sends, as ACL rules name it. `client|setinfo` is new in 7.2 and harmless when refused."""

_ABSENT = "tocsin-doctor:absent"
# What the bridge sends. Each is tried on a key that does not exist; only a refusal counts.
NEEDED: tuple[tuple[str, ...], ...] = (
    ("SCAN", "0", "MATCH", "{key}", "COUNT", "1"),
    ("XREAD", "COUNT", "1", "STREAMS", "{key}", "0"),
    ("XINFO", "STREAM", "{key}"),
    ("EXISTS", "{key}"),
    ("HGET", "{key}", "f"),
    ("HMGET", "{key}", "f"),
    ("HEXISTS", "{key}", "f"),
    ("LLEN", "{key}"),
    ("LRANGE", "{key}", "0", "0"),
    ("LINDEX", "{key}", "-1"),
    ("ZCARD", "{key}"),
    ("ZSCORE", "{key}", "m"),
    ("ZCOUNT", "{key}", "0", "0"),
    ("ZRANGE", "{key}", "0", "0"),
    ("ZRANGEBYSCORE", "{key}", "0", "0"),
)
NICE_TO_HAVE: tuple[tuple[tuple[str, ...], str], ...] = (
    (("XREVRANGE", "{key}", "+", "-", "COUNT", "1"), "what jobs did before a restart, and which run already"),
    (("XRANGE", "{key}", "-", "+", "COUNT", "1"), "open jobs after a restart without reading Kafka"),
    (("CLIENT", "LIST"), "how many workers a queue has"),
    (("INFO", "server"), "the version, memory and eviction policy of this Redis"),
    (("PING",), "how quickly this Redis answers"),
    (("ZSCAN", "{key}", "0"), "job schedulers"),
    (("PTTL", "{key}"), "rate limits"),
    (("GET", "{key}"), "rate limits"),
)


async def missing_rights(client: Any, check: str, source: RedisSource) -> list[Finding]:
    """Commands the user may not use: a problem if the bridge cannot work without them, else a note."""
    key = f"{source.prefix}:{_ABSENT}"
    commands = [tuple(word.format(key=key) for word in command) for command in NEEDED]
    missing = [_acl_name(command) for command in commands if await _is_refused(client, command)]
    missing += await _missing_transaction(client, key)
    if source.mode == "cluster" and source.reads_replica and await _is_refused(client, ("READONLY",)):
        missing.append("readonly")
    # ASKING is tried too: it is what a slot that moves takes.
    if source.mode == "cluster" and await _is_refused(client, ("ASKING",)):
        missing.append("asking")
    if missing:
        return [may_not(check, source, missing)]
    return [
        note(
            f"{check} rights",
            f"user {source.user} may not: {_acl_name(command)}; unknown then: {feature}",
            f"redis-cli ACL SETUSER {source.user} +{_acl_name(command)}",
        )
        for command, feature in NICE_TO_HAVE
        if await _is_refused(client, tuple(word.format(key=key) for word in command))
    ]


def may_not(check: str, source: RedisSource, missing: list[str] | tuple[str, ...]) -> Finding:
    """The problem, and the ACL rule that mends it."""
    user = source.user
    return bad(
        f"{check} rights",
        f"user {user} may not: {', '.join(missing)} on {source.prefix}:*",
        f"redis-cli ACL SETUSER {user} %R~{source.prefix}:* " + " ".join(f"+{name}" for name in missing),
    )


async def _is_refused(client: Any, command: tuple[str, ...]) -> bool:
    try:
        await cast(Awaitable[Any], client.execute_command(*command))
    except NoPermissionError:
        return True
    except ResponseError as error:
        return "unknown command" in str(error).lower()
    return False


async def _missing_transaction(client: Any, key: str) -> list[str]:
    """A stream's length and entries are read in one transaction."""
    try:
        async with client.pipeline(transaction=True) as pipeline:
            pipeline.execute_command("XREVRANGE", key, "+", "-", "COUNT", "1")
            await pipeline.execute()
    except NoPermissionError as error:
        return ["multi", "exec"] if any(word in str(error) for word in ("'multi'", "'exec'")) else []
    except ResponseError:
        return []
    return []


def _acl_name(command: tuple[str, ...]) -> str:
    """How an ACL rule names it: `xinfo|stream`, `hget`."""
    has_parts = command[0] in ("XINFO", "CLIENT")
    return "|".join(command[: 2 if has_parts else 1]).lower()
