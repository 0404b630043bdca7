"""How a source's Redis itself is: one INFO and a few PINGs of each process that is written to.

Of a cluster the worst is told: a full node throws jobs away however empty the others are.
"""

import asyncio
import statistics
import time
from collections.abc import Hashable, Mapping, Sequence

import structlog

from bridge.errors import SourceUnavailable
from bridge.redaction import redact
from bridge.sources.bullmq.door import Door, Link
from bridge.sources.bullmq.enrich import whole
from tocsin.events import VERSION, SourceSnapshot

log = structlog.get_logger("bridge.server")

PINGS = 3
SAFE_POLICY = "noeviction"

Info = Mapping[str, str]
"""What INFO says, `name:value`; empty where it is refused."""


class Server:
    """The Redis of one source; says once what an operator should mend."""

    def __init__(self, door: Door, env: str, source: str) -> None:
        self._door = door
        self._env = env
        self._source = source
        self._policy = ""
        self._evicted: dict[Hashable, int] = {}
        self._is_evicting = False

    async def look(self, queues: int | None) -> tuple[SourceSnapshot, dict[Hashable, int]]:
        """Read it now: how it is, and how many keys each process has thrown away. queues: found at this source.

        Never raises: where a process does not answer, the source is told as such.
        """
        made = SourceSnapshot(v=VERSION, ts=self._door.now_ms(), env=self._env, source=self._source, queues=queues)
        try:
            looks = await self._look()
        except SourceUnavailable:
            made.is_reachable = False
            return made, {}
        made.ping_ms = max(ping for ping, _ in looks.values())
        fill(made, [info for _, info in looks.values()])
        evicted = {link: _number(info, "evicted_keys") for link, (_, info) in looks.items()}
        return made, {link: count for link, count in evicted.items() if count is not None}

    async def _look(self) -> dict[Link, tuple[float, Info]]:
        """How long a PING of each process takes (ms), and its INFO. Replicas are asked where no primary answers."""
        try:
            return await _ask_each(await self._door.primaries())
        except SourceUnavailable:
            if not self._door.may_lag:
                raise
            return await _ask_each(await self._door.parts())

    def warn(self, made: SourceSnapshot, evicted: Mapping[Hashable, int]) -> int:
        """Say what may cost jobs, once per change. Return how many keys were evicted since the last look.

        evicted: by process; one that was not seen before evicted what it did before we looked, one that says less than
        before was started anew.
        """
        if made.policy and made.policy != self._policy:
            if made.policy != SAFE_POLICY:
                log.warning(
                    "redis_may_evict",
                    source=self._source,
                    policy=made.policy,
                    mend=f"set maxmemory-policy {SAFE_POLICY}: under this one a full Redis throws jobs away",
                )
            self._policy = made.policy
        if not evicted:
            return 0
        befores = {one: self._evicted.get(one, 0) for one in evicted}
        fresh = {one: count - (befores[one] if count >= befores[one] else 0) for one, count in evicted.items()}
        counted = sum(count for one, count in fresh.items() if one in self._evicted)
        self._evicted = dict(evicted)
        keys = sum(fresh.values())
        if keys > 0 and not self._is_evicting:
            log.warning(
                "redis_evicted_keys",
                source=self._source,
                keys=keys,
                mend=f"jobs may be lost: give this Redis more memory, and maxmemory-policy {SAFE_POLICY}",
            )
        self._is_evicting = keys > 0
        return counted


async def _ask_each(links: Sequence[Link]) -> dict[Link, tuple[float, Info]]:
    looks = await asyncio.gather(*(_ask(link) for link in links), return_exceptions=True)
    found: dict[Link, tuple[float, Info]] = {}
    for link, look in zip(links, looks, strict=True):
        if isinstance(look, BaseException):
            raise look
        found[link] = look
    return found


async def _ask(link: Link) -> tuple[float, Info]:
    """The median round trip, ms (a refusal is an answer too), and INFO."""
    seconds: list[float] = []
    for _ in range(PINGS):
        begun = time.perf_counter()
        await link.ask([("PING",)])
        seconds.append(time.perf_counter() - begun)
    info = (await link.ask([("INFO",)]))[0]
    return round(statistics.median(seconds) * 1000, 3), parse_info(info) if isinstance(info, bytes) else {}


def parse_info(reply: bytes) -> Info:
    """INFO's lines."""
    pairs = (line.partition(":") for line in reply.decode(errors="replace").splitlines() if not line.startswith("#"))
    return {name: value for name, _, value in pairs if name}


def fill(made: SourceSnapshot, infos: Sequence[Info]) -> None:
    """Write what INFO says into the record; what it leaves out stays unknown.

    Of several processes: the memory of the fullest and the clients of the most crowded, evictions and commands of all,
    else what is worst.
    """
    infos = [info for info in infos if info]
    if not infos:
        return
    one = infos[0]
    server = one.get("server_name", "redis")
    version = one.get(f"{server}_version") or one.get("redis_version", "")
    made.server = redact.cut(f"{server} {version}".strip(), redact.NAME_BYTES)
    made.role = redact.cut(one.get("role", ""), redact.NAME_BYTES)
    policies = [info.get("maxmemory_policy", "") for info in infos]
    worst = next((policy for policy in policies if policy and policy != SAFE_POLICY), policies[0])
    made.policy = redact.cut(worst, redact.NAME_BYTES)
    fullest = max(infos, key=lambda info: _share(info, "used_memory", "maxmemory"))
    made.memory_bytes = _number(fullest, "used_memory")
    made.max_memory_bytes = _number(fullest, "maxmemory")
    made.evicted_keys = _sum(infos, "evicted_keys")
    crowded = max(infos, key=lambda info: _share(info, "connected_clients", "maxclients"))
    made.clients = _number(crowded, "connected_clients")
    made.max_clients = _number(crowded, "maxclients")
    made.blocked_clients = _number(crowded, "blocked_clients")
    made.commands_per_second = _sum(infos, "instantaneous_ops_per_sec")
    saved = [at for info in infos if (at := _number(info, "rdb_last_save_time")) is not None]
    made.rdb_saved_at = min(saved) * 1000 if saved else None
    loading = _are(infos, "loading", "1")
    made.is_loading = any(loading) if loading else None
    made.is_rdb_ok = _all(infos, "rdb_last_bgsave_status", "ok")
    made.is_aof_on = _all(infos, "aof_enabled", "1")
    made.is_aof_ok = _all(infos, "aof_last_write_status", "ok")


def _number(info: Info, name: str) -> int | None:
    return whole(info[name]) if name in info else None


def _sum(infos: Sequence[Info], name: str) -> int | None:
    told = [number for info in infos if (number := _number(info, name)) is not None]
    return sum(told) if told else None


def _share(info: Info, used: str, most: str) -> tuple[float, int]:
    """How full it is; where there is no bound, how much there is."""
    has, bound = _number(info, used) or 0, _number(info, most) or 0
    return has / bound if bound else 0.0, has


def _are(infos: Sequence[Info], name: str, wanted: str) -> list[bool]:
    return [info[name] == wanted for info in infos if name in info]


def _all(infos: Sequence[Info], name: str, wanted: str) -> bool | None:
    told = _are(infos, name, wanted)
    return all(told) if told else None
