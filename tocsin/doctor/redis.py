"""Redis: reachable, logged in, allowed to read what the bridge reads, keeping enough events, evicting nothing."""

import asyncio
import ssl
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from tocsin.doctor.clock import check_clock
from tocsin.doctor.environment import RedisSource, Unreadable, place, redis_sources
from tocsin.doctor.finding import Environ, Finding, bad, note, ok, warn
from tocsin.doctor.redis_actions import check_actions
from tocsin.doctor.redis_processes import find_processes, wrong_mode
from tocsin.doctor.redis_rights import CONNECT, may_not, missing_rights

MIN_VERSION = (7, 0)
"""Since 7.0 a stream tells entries-added: with it trimmed events are counted exactly."""
FEW_EVENTS = 10_000
"""BullMQ's default length of an event stream."""
HARDLY_ANY_EVENTS = 10
"""A stream this short (BullMQ allows 0) holds next to nothing when it is read."""
MAX_QUEUES = 5_000
PING_SECONDS = 4.0
"""Until then a Redis must have answered once, or it counts as unreachable."""
SECONDS = 7.0
"""For everything that is asked of one."""
SCAN_SECONDS = 2.5
"""For the search of queues, which walks over every key: a big or distant Redis is not seen whole, and is not ill."""


async def check_redis(environ: Environ) -> list[Finding]:
    try:
        sources = redis_sources(environ)
    except Unreadable as error:
        return [bad("Redis", f"{error.name} {error}", f"check the file that {error.name} names, and who may read it")]
    if not sources:
        return [
            bad(
                "Redis",
                "no Redis to watch is named",
                "export REDIS_URL=redis://USER:PASSWORD@HOST:6379/0   (or look around first: make demo)",
            )
        ]
    acting = [source.acting for source in sources if source.acting is not None]
    groups = await asyncio.gather(*map(_check_source, sources), *map(check_actions, acting))
    return [finding for group in groups for finding in group]


async def _check_source(source: RedisSource) -> list[Finding]:
    """Look at every process of a source that the bridge speaks to."""
    found = await find_processes(source)
    if isinstance(found, Finding):
        return [found]
    groups = await asyncio.gather(*(_check_process(process.check, process.source) for process in found))
    findings = [finding for group in groups for finding in group]
    says_queues = any(finding.check.endswith((" queues", " events", " rights")) for finding in findings)
    if source.mode == "cluster" and not says_queues and all(finding.verdict != "bad" for finding in findings):
        findings.append(_no_queue(f"Redis {source.name}", source))
    return findings


async def _check_process(check: str, source: RedisSource) -> list[Finding]:
    where = place(source.url)
    try:
        client = cast(Any, Redis).from_url(
            source.url,
            socket_connect_timeout=3,
            socket_timeout=3,
            decode_responses=True,
            encoding_errors="surrogateescape",  # a queue's name may be any bytes
            client_name="tocsin-doctor",
            **source.options,
        )
    except (ValueError, TypeError):  # its message quotes the address
        return [
            bad(
                check,
                f"{source.setting} is no address of a Redis",
                f"export {source.setting}=redis://USER:PASSWORD@HOST:6379/0",
            )
        ]
    findings: list[Finding] = []
    try:
        async with asyncio.timeout(SECONDS):
            async with asyncio.timeout(PING_SECONDS):
                await client.ping()
            findings.append(await _version(client, check, where))
            await _examine(client, check, source, findings)
    except AuthenticationError as error:
        findings = [_refused(check, where, source, str(error))]
    except NoPermissionError:
        findings = [may_not(check, source, CONNECT)]
    except (RedisError, OSError, TimeoutError) as error:
        if _asks_for_password(error):
            findings = [_refused(check, where, source, str(error))]
        elif findings:
            findings.append(_unseen(check, where, error))
        else:
            findings = [_unreachable(check, where, source, error)]
    finally:
        await client.aclose()
    return findings


async def _examine(client: Any, check: str, source: RedisSource, findings: list[Finding]) -> None:
    """Add what is found, one by one: what was found stays when the time is up."""
    findings += await wrong_mode(client, check, source)
    findings += await missing_rights(client, check, source)
    if any(finding.verdict == "bad" for finding in findings):
        return
    findings += await check_clock(client, check)
    findings += await _memory_policy(client, check, source)
    findings += await _event_streams(client, check, source)


async def _version(client: Any, check: str, where: str) -> Finding:
    try:
        server = await client.info("server")
    except ResponseError:
        return note(check, f"answers at {where}; its version is hidden from this user")
    version = str(server.get("redis_version", "0"))
    name = f"Valkey {server['valkey_version']}" if "valkey_version" in server else f"Redis {version}"
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < MIN_VERSION:
        return warn(
            check,
            f"{name} at {where}: events trimmed before they are read cannot be counted",
            "upgrade to Redis 7.0 or newer, or Valkey",
        )
    return ok(check, f"{name} at {where}")


async def _memory_policy(client: Any, check: str, source: RedisSource) -> list[Finding]:
    try:
        memory = await client.info("memory")
    except ResponseError:
        return []
    policy = str(memory.get("maxmemory_policy", "noeviction"))
    if policy == "noeviction":
        return []
    return [
        warn(
            f"{check} memory",
            f"maxmemory-policy is {policy}: under pressure Redis deletes jobs and events of BullMQ",
            f"redis-cli -u {_blank(source)} CONFIG SET maxmemory-policy noeviction",
        )
    ]


async def _event_streams(client: Any, check: str, source: RedisSource) -> list[Finding]:
    names, is_complete = await _queues(client, source.prefix)
    count = f"{len(names)} queue{'' if len(names) == 1 else 's'}" + ("" if is_complete else " seen so far")
    if not names and not is_complete:
        return [
            note(
                f"{check} queues",
                f"no queue seen so far under the prefix {source.prefix}: there are more keys than could be looked "
                f"through in {SCAN_SECONDS:g} s",
            )
        ]
    if not names:
        return [_no_queue(check, source)] if source.mode != "cluster" else []
    async with client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.hget(f"{source.prefix}:{name}:meta", "opts.maxLenEvents")
        lengths = cast(list[str | None], await pipeline.execute())
    short = {
        name: int(length)
        for name, length in zip(names, lengths, strict=True)
        if length is not None and length.isdigit() and int(length) < FEW_EVENTS
    }
    if not short:
        return [ok(f"{check} queues", f"{count}, each keeps {FEW_EVENTS:,} events or more")]
    shown = ", ".join(f"{name} ({short[name]:,})" for name in sorted(short, key=lambda name: short[name])[:10])
    worst = min(short, key=lambda name: short[name])
    finding = bad if short[worst] < HARDLY_ANY_EVENTS else warn
    return [
        finding(
            f"{check} events",
            f"{len(short)} of {count} keep too few events, a burst is trimmed before it is read: {shown}"
            + (" …" if len(short) > 10 else ""),
            f'new Queue("{worst}", {{ streams: {{ events: {{ maxLen: {FEW_EVENTS} }} }} }})   '
            "in every Queue object of your app: each one rewrites the setting (opts.maxLenEvents)",
        )
    ]


def _no_queue(check: str, source: RedisSource) -> Finding:
    return warn(
        f"{check} queues",
        f"no queue under the prefix {source.prefix}:",
        "is it the right Redis and database? redis-cli --scan --pattern '*:meta' shows the prefixes; "
        "another prefix goes into TOCSIN_SOURCES_FILE",
    )


async def _queues(client: Any, prefix: str) -> tuple[list[str], bool]:
    """Queue names, sorted, and whether the scan saw all in its time."""
    names: set[str] = set()
    cursor = 0
    clock = asyncio.get_running_loop().time
    end = clock() + SCAN_SECONDS
    while True:
        cursor, keys = await client.scan(cursor, match=f"{prefix}:*:meta", count=1000)
        names.update(key[len(prefix) + 1 : -len(":meta")] for key in keys)
        if cursor == 0 or len(names) >= MAX_QUEUES or clock() > end:
            return sorted(names)[:MAX_QUEUES], cursor == 0 and len(names) <= MAX_QUEUES


def _asks_for_password(error: BaseException) -> bool:
    text = str(error).upper()
    return any(word in text for word in ("NOAUTH", "WRONGPASS", "INVALID USERNAME-PASSWORD", "INVALID PASSWORD"))


def _refused(check: str, where: str, source: RedisSource, said: str) -> Finding:
    found = "wants a password" if "NOAUTH" in said.upper() or "required" in said else "refused the user or password"
    return bad(
        check,
        f"{where} {found} of {source.setting}",
        f"try it: redis-cli -u {_blank(source)} PING   then: export {source.setting}={_blank(source)}",
    )


def _unseen(check: str, where: str, error: BaseException) -> Finding:
    return warn(
        check,
        f"{where} answers, but not everything could be looked at ({type(error).__name__})",
        "is it, or the way to it, very busy? redis-cli --latency shows; then try again",
    )


def _unreachable(check: str, where: str, source: RedisSource, error: BaseException) -> Finding:
    if isinstance(error.__cause__, ssl.SSLError) or "SSL" in str(error).upper():
        return bad(
            check,
            f"{where}: TLS failed ({_short(error)})",
            "TLS only for a server that speaks it; its CA: one this machine trusts, or tls.ca_file in the sources file",
        )
    return bad(
        check,
        f"no Redis answers at {where} ({type(error).__name__})",
        f"is it up, and open to this machine? redis-cli -u {_blank(source)} PING   (address: {source.setting})",
    )


def _short(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__


def _blank(source: RedisSource) -> str:
    """The source's address with blanks for user and password."""
    scheme = source.url.partition("://")[0]
    return f"{scheme}://USER:PASSWORD@{place(source.url)}"
