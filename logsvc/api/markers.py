"""Markers: deploys and other moments that people mark, drawn on histograms and timelines.

    curl -H "authorization: Bearer $TOKEN" -d '{"env":"prod","service":"shop","version":"1.4.2","by":"CI"}' \\
        https://tocsin.example.com/api/v1/markers
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from msgspec import Meta

from logsvc.api.answers import HISTORY, CursorText, FromTime, Limit, Names, Page, ToTime, refusals, refuse_unknown
from logsvc.api.journal import DAY, Journal, Where, sets, time_range
from logsvc.auth.who import Denied, Who, need
from logsvc.cursors import MarkerKey, pack, unpack
from logsvc.errors import BadRequest
from logsvc.storable import EARLIEST_MS
from logsvc.store import Store
from logsvc.times import parse_time
from tocsin.roles import Role
from tocsin.times import rfc3339

Short = Annotated[str, Meta(max_length=200)]

COLUMNS = "id, ts, env, service, version, `by`"
MOST_ON_A_CHART = 200


class NewMarker(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to mark. ts: RFC 3339, now if left out. id: sent again, the same id makes no second marker.

    by: the name of the token, if left out.
    """

    env: Annotated[str, Meta(min_length=1, max_length=200)]
    service: Short
    version: Short
    by: Short = ""
    ts: str | None = None
    id: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class Marker(msgspec.Struct, kw_only=True):
    """A moment that somebody marked, such as a deploy of a version of a service."""

    id: str
    ts: str
    env: str
    service: str
    version: str
    by: str


def markers_routes(journal: Journal, store: Store) -> list[HTTPRouteHandler]:
    """The routes, bound to a journal and to where markers are written."""

    @get("/api/v1/markers", summary="Deploys and other marked moments, newest first", responses=refusals(*HISTORY))
    async def markers(
        request: Request[Any, Any, Any],
        env: Names = None,
        service: Names = None,
        start: FromTime = None,
        end: ToTime = None,
        cursor: CursorText = None,
        limit: Limit = 100,
    ) -> Page[Marker]:
        refuse_unknown(request, ("env", "service", "from", "to", "cursor", "limit"))
        asked = time_range(start, end)
        where = sets({"env": env, "service": service})
        if asked.earliest is not None:
            where.add("ts >= {earliest:Int64}", earliest=asked.earliest)
        if asked.latest is not None:
            where.add("ts < {latest:Int64}", latest=asked.latest)
        if cursor:
            after = unpack(MarkerKey, cursor)
            where.add("(ts, id) < ({a_ts:Int64}, {a_id:String})", a_ts=after.ts, a_id=after.id)
        found = await _newest(journal, where, limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        return Page(
            items=[_marker(row) for row in found[:limit]],
            next_cursor=pack(MarkerKey(int(last["ts"]), str(last["id"]))) if last else None,
            as_of=rfc3339(journal.now_ms()),
            coverage=await journal.coverage(asked, sets({"env": env}), await journal.since()),
        )

    @post(
        "/api/v1/markers",
        summary="Mark a moment: a deploy, say",
        security=[{"token": []}],
        responses=refusals(*HISTORY, 413),
    )
    async def mark(request: Request[Any, Any, Any], data: JSONBody[NewMarker]) -> Marker:
        who = _marker_of(request)
        refuse_unknown(request, ())
        now = journal.now_ms()
        ts = parse_time("ts", data.ts) if data.ts else now
        if not EARLIEST_MS <= ts <= now + DAY:
            raise BadRequest("ts: expected a time since 2000, and no later than tomorrow")
        row: dict[str, Any] = {
            "id": data.id or uuid.uuid4().hex,
            "ts": ts,
            "env": data.env,
            "service": data.service,
            "version": data.version,
            "by": data.by or who.name,
        }
        await store.insert("markers", msgspec.json.encode(row), f"marker:{row['id']}")
        stored = await _newest(journal, Where(["id = {id:String}"], {"id": row["id"]}), 1)
        return _marker(stored[0] if stored else row)

    return [markers, mark]


async def markers_between(journal: Journal, envs: Sequence[str] | None, earliest: int, latest: int) -> list[Marker]:
    """The newest markers of a range, oldest first, for a chart of it."""
    where = sets({"env": envs}).add("ts BETWEEN {earliest:Int64} AND {latest:Int64}", earliest=earliest, latest=latest)
    return [_marker(row) for row in reversed(await _newest(journal, where, MOST_ON_A_CHART))]


async def markers_of(journal: Journal, places: Where, earliest: int, latest: int) -> list[Marker]:
    """The markers for a chart of some queues: those of their environments, as far as snapshots of the time tell them.

    places: conditions on env, source and queue; with none, or of a queue that nobody looked at, markers of all.
    """
    if not places.clauses:
        return await markers_between(journal, None, earliest, latest)
    where = places.copy().add("ts BETWEEN {earliest:Int64} AND {latest:Int64}", earliest=earliest, latest=latest)
    found = await journal.ask(f"SELECT DISTINCT env FROM queue_snapshots WHERE {where}", where)
    envs = [str(row["env"]) for row in found] or places.parameters.get("env")
    return await markers_between(journal, envs, earliest, latest)


async def _newest(journal: Journal, where: Where, most: int) -> list[dict[str, Any]]:
    where.parameters["most"] = most
    return await journal.ask(
        f"SELECT {COLUMNS} FROM markers FINAL WHERE {where} ORDER BY ts DESC, id DESC LIMIT {{most:UInt32}}", where
    )


def _marker(row: Mapping[str, Any]) -> Marker:
    names = ("id", "env", "service", "version", "by")
    return Marker(ts=rfc3339(int(row["ts"])), **{name: str(row[name]) for name in names})


def _marker_of(request: Request[Any, Any, Any]) -> Who:
    """Who marks: with a token, for a deploy is told by a machine. Raises Denied."""
    who = need(request.scope, Role.OPERATOR)
    if not who.shows_secret:
        raise Denied(401, "a token is needed: Authorization: Bearer …")
    return who
