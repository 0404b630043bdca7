"""`GET /api/v1/queues`: every queue's newest counts, from memory: it answers while ClickHouse is down."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from litestar import Request, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler

from logsvc.api.answers import MEMORY, Coverage, CursorText, Limit, Names, Page, Segment, refusals, refuse_unknown
from logsvc.coverage import HistoryCoverage
from logsvc.cursors import QueueKey, pack, unpack
from logsvc.errors import NotReadyYet
from logsvc.filters import values
from logsvc.snapshots import Snapshots
from tocsin.answers import QueueItem
from tocsin.events import QueueSnapshot
from tocsin.times import rfc3339, rfc3339_or_none


class QueueDetail(QueueItem, kw_only=True, frozen=True):
    """One queue with all that is polled of it; null = not known, or there is nothing of the kind.

    overdue: delayed jobs due more than 5 s ago. longest_active_*: the job that has run for longest;
    is_longest_active_locked: false = its worker is dead, or too busy to renew the lock. completed_per_minute,
    failed_per_minute: of the last minute. max_len_events: how many events BullMQ keeps before it trims.
    """

    overdue: int | None
    longest_active_id: str
    longest_active_name: str
    longest_active_seconds: float | None
    is_longest_active_locked: bool | None
    is_rate_limited: bool | None
    rate_limit_seconds: float | None
    rate_limit_jobs: int | None
    rate_limit_ms: int | None
    concurrency: int | None
    completed_per_minute: int | None
    failed_per_minute: int | None
    last_event_at: str | None
    max_len_events: int | None
    bullmq_version: str
    coverage: Coverage


def item_of(one: QueueSnapshot) -> QueueItem:
    same: Mapping[str, Any] = {name: getattr(one, name) for name in QueueItem.__struct_fields__ if name != "as_of"}
    return QueueItem(**same, as_of=rfc3339(one.ts))


def detail_of(one: QueueSnapshot, coverage: Coverage) -> QueueDetail:
    own = set(QueueDetail.__struct_fields__) - {"as_of", "last_event_at", "coverage"}
    same: Mapping[str, Any] = {name: getattr(one, name) for name in own}
    return QueueDetail(
        **same, as_of=rfc3339(one.ts), last_event_at=rfc3339_or_none(one.last_event_at), coverage=coverage
    )


def queues_routes(snapshots: Snapshots, history: HistoryCoverage) -> list[HTTPRouteHandler]:
    """The routes, bound to the snapshots. history: what the events about them cover."""

    @get("/api/v1/queues", summary="Every queue's counts now", responses=refusals(*MEMORY))
    async def queues(
        request: Request[Any, Any, Any],
        env: Names = None,
        source: Names = None,
        queue: Names = None,
        cursor: CursorText = None,
        limit: Limit = 1000,
    ) -> Page[QueueItem]:
        refuse_unknown(request, ("env", "source", "queue", "cursor", "limit"))
        need(snapshots)
        asked = {"env": env, "source": source, "queue": queue}
        wanted = {name: values(name, text) for name, text in asked.items()}
        found = sorted(
            (one for one in snapshots.queues.values() if _is_wanted(one, wanted)),
            key=lambda one: (one.env, one.source, one.queue),
        )
        if cursor:
            key = unpack(QueueKey, cursor)
            found = [one for one in found if (one.env, one.source, one.queue) > (key.env, key.source, key.queue)]
        last = found[limit - 1] if len(found) > limit else None
        return Page(
            items=[item_of(one) for one in found[:limit]],
            next_cursor=pack(QueueKey(last.env, last.source, last.queue)) if last else None,
            as_of=rfc3339(snapshots.as_of_ms),
            coverage=coverage_of(history, wanted),
        )

    @get("/api/v1/queues/{source:str}/{queue:str}", summary="One queue's counts now", responses=refusals(*MEMORY, 404))
    async def one_queue(request: Request[Any, Any, Any], source: Segment, queue: Segment) -> QueueDetail:
        refuse_unknown(request, ())
        need(snapshots)
        one = snapshots.queues.get(f"{unquote(source)}:{unquote(queue)}".encode(errors="replace"))
        if one is None:
            raise NotFoundException("no such queue is known")
        return detail_of(one, coverage_of(history, {"source": [one.source], "queue": [one.queue]}))

    return [queues, one_queue]


def need(snapshots: Snapshots) -> None:
    """Raise NotReadyYet until the snapshots have been read once."""
    if not snapshots.is_complete:
        raise NotReadyYet("the queues are still being read from Kafka")


def _is_wanted(one: QueueSnapshot, wanted: Mapping[str, list[str]]) -> bool:
    return all(not allowed or getattr(one, name) in allowed for name, allowed in wanted.items())


def coverage_of(history: HistoryCoverage, wanted: Mapping[str, list[str]]) -> Coverage:
    """What the events about these queues cover, as far as it is known without asking."""
    known = history.known
    return Coverage(rfc3339_or_none(known.oldest), known.lost_of(wanted)) if known else Coverage(None, None)
