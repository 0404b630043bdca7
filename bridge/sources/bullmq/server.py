"""How a source's Redis itself is: one INFO and a few PINGs."""

import statistics
import time
from collections.abc import Mapping

import structlog

from bridge import redact
from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.enrich import whole
from tocsin.events import VERSION, SourceSnapshot

log = structlog.get_logger("bridge.server")

PINGS = 3
SAFE_POLICY = "noeviction"


class Server:
    """The Redis of one source; says once what an operator should mend."""

    def __init__(self, door: Door, env: str, source: str) -> None:
        self._door = door
        self._env = env
        self._source = source
        self._policy = ""
        self._evicted: int | None = None
        self._is_evicting = False

    async def look(self, queues: int | None) -> SourceSnapshot:
        """Read it now. queues: found at this source. Never raises: one that does not answer is told as such."""
        made = SourceSnapshot(v=VERSION, ts=self._door.now_ms(), env=self._env, source=self._source, queues=queues)
        try:
            made.ping_ms = await self._ping()
            info = (await self._door.ask([("INFO",)]))[0]
        except SourceUnavailable:
            made.is_reachable = False
            return made
        if isinstance(info, bytes):
            fill(made, parse_info(info))
        return made

    async def _ping(self) -> float | None:
        """Median round trip in ms; a refusal is an answer too."""
        seconds: list[float] = []
        for _ in range(PINGS):
            begun = time.perf_counter()
            await self._door.ask([("PING",)])
            seconds.append(time.perf_counter() - begun)
        return round(statistics.median(seconds) * 1000, 3)

    def warn(self, made: SourceSnapshot) -> int:
        """Say what may cost jobs, once per change. Return how many keys were evicted since the last look."""
        if made.policy and made.policy != self._policy:
            if made.policy != SAFE_POLICY:
                log.warning(
                    "redis_may_evict",
                    source=self._source,
                    policy=made.policy,
                    mend=f"set maxmemory-policy {SAFE_POLICY}: under this one a full Redis throws jobs away",
                )
            self._policy = made.policy
        if made.evicted_keys is None:
            return 0
        before, self._evicted = self._evicted, made.evicted_keys
        fresh = made.evicted_keys - (before or 0) if made.evicted_keys >= (before or 0) else made.evicted_keys
        if fresh > 0 and not self._is_evicting:
            log.warning(
                "redis_evicted_keys",
                source=self._source,
                keys=fresh,
                mend=f"jobs may be lost: give this Redis more memory, and maxmemory-policy {SAFE_POLICY}",
            )
        self._is_evicting = fresh > 0
        return fresh if before is not None else 0


def parse_info(reply: bytes) -> dict[str, str]:
    """INFO's lines, `name:value`."""
    pairs = (line.partition(":") for line in reply.decode(errors="replace").splitlines() if not line.startswith("#"))
    return {name: value for name, _, value in pairs if name}


def fill(made: SourceSnapshot, info: Mapping[str, str]) -> None:
    """Write what INFO says into the record; what it leaves out stays unknown."""
    server = info.get("server_name", "redis")
    version = info.get(f"{server}_version") or info.get("redis_version", "")
    made.server = redact.cut(f"{server} {version}".strip(), redact.NAME_BYTES)
    made.role = redact.cut(info.get("role", ""), redact.NAME_BYTES)
    made.policy = redact.cut(info.get("maxmemory_policy", ""), redact.NAME_BYTES)
    made.memory_bytes = _number(info, "used_memory")
    made.max_memory_bytes = _number(info, "maxmemory")
    made.evicted_keys = _number(info, "evicted_keys")
    made.clients = _number(info, "connected_clients")
    made.max_clients = _number(info, "maxclients")
    made.blocked_clients = _number(info, "blocked_clients")
    made.commands_per_second = _number(info, "instantaneous_ops_per_sec")
    saved = _number(info, "rdb_last_save_time")
    made.rdb_saved_at = saved * 1000 if saved is not None else None
    made.is_loading = _is(info, "loading", "1")
    made.is_rdb_ok = _is(info, "rdb_last_bgsave_status", "ok")
    made.is_aof_on = _is(info, "aof_enabled", "1")
    made.is_aof_ok = _is(info, "aof_last_write_status", "ok")


def _number(info: Mapping[str, str], name: str) -> int | None:
    return whole(info[name]) if name in info else None


def _is(info: Mapping[str, str], name: str, wanted: str) -> bool | None:
    return info[name] == wanted if name in info else None
