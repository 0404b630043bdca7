"""`GET /api/v1/system`: how Tocsin's own pipeline does, from memory."""

import platform
from collections.abc import Hashable, Mapping
from typing import Any

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler

from logsvc.api.answers import MEMORY, Coverage, refusals, refuse_unknown
from logsvc.api.journal import Journal
from logsvc.api.queues import coverage_of
from logsvc.coverage import HistoryCoverage, Known
from logsvc.deadletters.newest import LISTED, BuriedLetter
from logsvc.ingest.ingest import Ingest
from logsvc.live.hub import Hub
from logsvc.neighbours import Neighbours, Seen
from logsvc.snapshots import Snapshots
from tocsin import __version__
from tocsin.breakers import Breakers
from tocsin.events import VERSION, SourceSnapshot
from tocsin.times import rfc3339, rfc3339_or_none


class Partition(msgspec.Struct):
    """One Kafka partition this replica stores.

    state: restoring, recovering, storing, retrying, fenced or stopped. reason: why it is retrying; "" = it is not.
    """

    topic: str
    partition: int
    state: str
    incarnation: str
    next_offset: int | None
    lag: int
    buffered_bytes: int
    dead_letters: int
    reason: str = ""


class Gap(msgspec.Struct):
    """Events that BullMQ trimmed before they could be read."""

    ts: str
    env: str
    source: str
    queue: str
    lost: int


class EnvLosses(msgspec.Struct):
    """All that one environment lost in the last 7 days: in how many gaps, and how many events."""

    env: str
    gaps: int
    lost: int


class Live(msgspec.Struct):
    """The live stream of this replica."""

    as_of: str | None
    viewers: int
    ring_rows: int
    ring_bytes: int


class Versions(msgspec.Struct):
    """bullmq: every version seen in a queue. clickhouse: null = not known now."""

    tocsin: str
    contract: int
    python: str
    clickhouse: str | None
    bullmq: list[str]


class DeadLetters(msgspec.Struct):
    """What could not be decoded or stored, of all services. count: what Kafka keeps, about. newest: newest first."""

    count: int
    newest: list[BuriedLetter]


class Redis(msgspec.Struct, kw_only=True):
    """The Redis of one source at as_of; null = it does not say. policy: anything but noeviction may lose jobs."""

    env: str
    source: str
    as_of: str
    is_reachable: bool
    ping_ms: float | None
    queues: int | None
    server: str
    role: str
    memory_bytes: int | None
    max_memory_bytes: int | None
    policy: str
    evicted_keys: int | None
    clients: int | None
    max_clients: int | None
    blocked_clients: int | None
    commands_per_second: int | None
    is_loading: bool | None
    is_rdb_ok: bool | None
    is_aof_on: bool | None
    is_aof_ok: bool | None


class Service(msgspec.Struct):
    """One replica of bridge or bot, as it said at as_of. problem: why it is not known now; "" = it answers.

    lag_seconds: of the bridge, how far Kafka is behind Redis; of the bot, how old the newest record is that it read.
    """

    service: str
    address: str
    as_of: str | None
    problem: str
    version: str
    missing: list[str]
    breakers: dict[str, str]
    lag_seconds: float | None


class System(msgspec.Struct):
    """as_of: everything up to then is stored; null = not known. gaps: of the last 7 days the newest 100 of
    each environment; losses: all of them, counted. null = ClickHouse is down.

    dead_letters: written by this replica since it began; all_dead_letters: of every service.
    """

    version: str
    versions: Versions
    as_of: str | None
    coverage: Coverage
    pipeline: list[Partition]
    dead_letters: int
    all_dead_letters: DeadLetters
    breakers: dict[str, str]
    services: list[Service]
    live: Live
    queues: int
    schedulers: int
    queues_as_of: str | None
    sources: list[Redis]
    gaps: list[Gap] | None
    losses: list[EnvLosses] | None


def system_routes(
    ingest: Ingest,
    hub: Hub,
    snapshots: Snapshots,
    journal: Journal,
    history: HistoryCoverage,
    breakers: Breakers,
    neighbours: Neighbours,
) -> list[HTTPRouteHandler]:
    """The route, bound to the parts it reports on."""

    @get("/api/v1/system", summary="How Tocsin's own pipeline does", responses=refusals(*MEMORY))
    async def system(request: Request[Any, Any, Any]) -> System:
        refuse_unknown(request, ())
        known = history.known
        lanes = [lane for _, lane in sorted(ingest.lanes.items())]
        return System(
            version=__version__,
            versions=_versions(snapshots, known),
            as_of=journal.as_of(),
            coverage=coverage_of(history, {}),
            pipeline=[
                Partition(
                    lane.place.topic,
                    lane.place.partition,
                    lane.state,
                    lane.incarnation,
                    lane.next_offset,
                    lane.lag,
                    lane.buffered_bytes,
                    lane.dead_letters,
                    lane.reason,
                )
                for lane in lanes
            ],
            dead_letters=ingest.dead_letters,
            all_dead_letters=DeadLetters(snapshots.letters.count, list(snapshots.letters.newest[:LISTED])),
            breakers=dict(breakers.states()),
            services=[_service(one) for one in neighbours.seen],
            live=Live(rfc3339_or_none(hub.as_of_ms), hub.viewers, len(hub.ring), hub.ring.bytes),
            queues=len(snapshots.queues),
            schedulers=len(snapshots.schedulers),
            queues_as_of=rfc3339_or_none(snapshots.as_of_ms),
            sources=[_redis(one) for _, one in sorted(snapshots.sources.items())],
            gaps=[_gap(row) for row in known.gaps] if known else None,
            losses=[EnvLosses(one.env, one.gaps, one.lost) for one in known.week] if known else None,
        )

    return [system]


def _versions(snapshots: Snapshots, known: Known | None) -> Versions:
    bullmq = {one.bullmq_version for one in snapshots.queues.values()} - {""}
    return Versions(
        __version__, VERSION, platform.python_version(), known.clickhouse if known else None, sorted(bullmq)
    )


def changed_word(
    ingest: Ingest, snapshots: Snapshots, breakers: Breakers, history: HistoryCoverage, neighbours: Neighbours
) -> Hashable:
    """Another value once what a page shows of it has changed, but for ages, which it counts on by itself."""
    lanes = [(place, lane.state, lane.lag, lane.dead_letters, lane.reason) for place, lane in ingest.lanes.items()]
    known = history.known
    return (
        tuple(lanes),
        tuple(breakers.states().items()),
        snapshots.letters.count,
        tuple(one.ts for one in snapshots.sources.values()),
        tuple((one.address, one.at, one.problem) for one in neighbours.seen),
        known and tuple(known.week),
    )


def _service(seen: Seen) -> Service:
    said = seen.status
    return Service(
        seen.service,
        seen.address,
        rfc3339(int(seen.at * 1000)) if seen.at else None,
        seen.problem,
        said.version if said else "",
        said.missing if said else [],
        said.breakers if said else {},
        said.lag_seconds if said else None,
    )


def _redis(one: SourceSnapshot) -> Redis:
    same: Mapping[str, Any] = {name: getattr(one, name) for name in Redis.__struct_fields__ if name != "as_of"}
    return Redis(**same, as_of=rfc3339(one.ts))


def _gap(row: Mapping[str, Any]) -> Gap:
    return Gap(rfc3339(int(row["at"])), str(row["env"]), str(row["source"]), str(row["queue"]), int(row["lost"]))
