"""`GET /api/v1/queues`: every queue's newest counts, from memory: it answers while ClickHouse is down."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from litestar import Request, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler

from logsvc.api.answers import Coverage, CursorText, Limit, Names, Page, refuse_unknown
from logsvc.coverage import HistoryCoverage
from logsvc.cursors import QueueKey, pack, unpack
from logsvc.errors import NotReadyYet
from logsvc.sets import values
from logsvc.snapshots import Snapshots
from logsvc.times import rfc3339, rfc3339_or_none
from tocsin.answers import QueueItem
from tocsin.events import QueueSnapshot


def item_of(one: QueueSnapshot) -> QueueItem:
    same: Mapping[str, Any] = {name: getattr(one, name) for name in QueueItem.__struct_fields__ if name != "as_of"}
    return QueueItem(**same, as_of=rfc3339(one.ts))


def queues_routes(snapshots: Snapshots, history: HistoryCoverage) -> list[HTTPRouteHandler]:
    """The routes, bound to the snapshots. history: what the events about them cover."""

    @get("/api/v1/queues", summary="Every queue's counts now")
    async def queues(
        request: Request[Any, Any, Any],
        env: Names = None,
        source: Names = None,
        queue: Names = None,
        cursor: CursorText = None,
        limit: Limit = 1000,
    ) -> Page[QueueItem]:
        refuse_unknown(request, ("env", "source", "queue", "cursor", "limit"))
        _need(snapshots)
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
            coverage=_coverage(history, wanted),
        )

    @get("/api/v1/queues/{source:str}/{queue:str}", summary="One queue's counts now")
    async def one_queue(source: str, queue: str) -> QueueItem:
        _need(snapshots)
        one = snapshots.queues.get(f"{unquote(source)}:{unquote(queue)}".encode())
        if one is None:
            raise NotFoundException("no such queue is known")
        return item_of(one)

    return [queues, one_queue]


def _need(snapshots: Snapshots) -> None:
    if not snapshots.is_complete:
        raise NotReadyYet("the queues are still being read from Kafka")


def _is_wanted(one: QueueSnapshot, wanted: Mapping[str, list[str]]) -> bool:
    return all(not allowed or getattr(one, name) in allowed for name, allowed in wanted.items())


def _coverage(history: HistoryCoverage, wanted: Mapping[str, list[str]]) -> Coverage:
    known = history.known
    return Coverage(rfc3339_or_none(known.oldest), known.lost_of(wanted)) if known else Coverage(None, None)
