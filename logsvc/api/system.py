"""`GET /api/v1/system`: how Tocsin's own pipeline does, from memory."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler

from logsvc.api.journal import Journal
from logsvc.coverage import HistoryCoverage
from logsvc.ingest import Ingest
from logsvc.live.hub import Hub
from logsvc.snapshots import Snapshots
from logsvc.times import rfc3339, rfc3339_or_none
from tocsin import __version__
from tocsin.breakers import Breakers


class Partition(msgspec.Struct):
    """One Kafka partition this replica stores. state: restoring, recovering, storing, retrying, fenced or stopped."""

    topic: str
    partition: int
    state: str
    incarnation: str
    next_offset: int | None
    lag: int
    buffered_bytes: int
    dead_letters: int


class Gap(msgspec.Struct):
    """Events that BullMQ trimmed before they could be read."""

    ts: str
    env: str
    source: str
    queue: str
    lost: int


class Live(msgspec.Struct):
    """The live stream of this replica."""

    as_of: str | None
    viewers: int
    ring_rows: int
    ring_bytes: int


class System(msgspec.Struct):
    """as_of: everything up to then is stored; null = not known. gaps: of the last 7 days; null = ClickHouse is down."""

    version: str
    as_of: str | None
    pipeline: list[Partition]
    dead_letters: int
    breakers: dict[str, str]
    live: Live
    queues: int
    queues_as_of: str | None
    gaps: list[Gap] | None


def system_routes(
    ingest: Ingest, hub: Hub, snapshots: Snapshots, journal: Journal, history: HistoryCoverage, breakers: Breakers
) -> list[HTTPRouteHandler]:
    """The route, bound to the parts it reports on."""

    @get("/api/v1/system", summary="How Tocsin's own pipeline does")
    async def system() -> System:
        known = history.known
        lanes = [lane for _, lane in sorted(ingest.lanes.items())]
        return System(
            version=__version__,
            as_of=journal.as_of(),
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
                )
                for lane in lanes
            ],
            dead_letters=ingest.dead_letters,
            breakers=dict(breakers.states()),
            live=Live(rfc3339_or_none(hub.as_of_ms), hub.viewers, len(hub.ring), hub.ring.bytes),
            queues=len(snapshots.queues),
            queues_as_of=rfc3339_or_none(snapshots.as_of_ms),
            gaps=[_gap(row) for row in known.gaps] if known else None,
        )

    return [system]


def _gap(row: Mapping[str, Any]) -> Gap:
    return Gap(rfc3339(int(row["ts"])), str(row["env"]), str(row["source"]), str(row["queue"]), int(row["lost"]))
