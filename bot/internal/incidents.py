"""Incidents and silences for the page: listed, taken, given back, ended, noted, kept quiet."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any

from litestar import Request, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from bot.incidents.consume import Progress
from bot.incidents.handling import Handled, Handling, Outcome, Place
from bot.incidents.machine import Incident, Phase
from bot.incidents.silences import LONGEST_HOURS, Scope, Silence
from bot.internal.gate import Refused, read_body
from bot.internal.who import permit
from bot.people.roster import People
from bot.render.alert import Links
from bot.rules.policy import FAILED
from bot.store.incidents import find_incident, list_incidents
from tocsin.incidents import (
    Asker,
    Handle,
    IncidentItem,
    IncidentPage,
    NewSilence,
    NoteItem,
    SilenceItem,
    WriteNote,
)
from tocsin.roles import Role
from tocsin.times import HOUR_MS, current_ms, rfc3339

BASE = "/internal/v1"
MOST_BYTES = 64 * 1024
MOST_LISTED = 500
LAST_ID = 2**63 - 1
OPEN: frozenset[str] = frozenset(one.value for one in Phase if one is not Phase.RESOLVED)
DONE = "done"


def incident_routes(handling: Handling, people: People, links: Links, progress: Progress) -> list[HTTPRouteHandler]:
    """The routes, bound to what they ask."""
    database = handling.database

    @get(f"{BASE}/incidents")
    async def listed(
        in_state: Annotated[list[str] | None, Parameter(query="state")] = None,
        env: list[str] | None = None,
        source: list[str] | None = None,
        queue: list[str] | None = None,
        fingerprint: list[str] | None = None,
        cursor: str = "",
        limit: int = 100,
    ) -> IncidentPage:
        if not 1 <= limit <= MOST_LISTED:
            raise Refused(400, "invalid", f"limit: expected 1 to {MOST_LISTED}")
        wanted = {"env": env, "source": source, "queue": queue, "fingerprint": fingerprint}
        only = {name: value for name, value in wanted.items() if value}
        as_of = progress.heard_ms
        async with database.transaction() as session:
            found = await list_incidents(
                session, phases=_phases(in_state or ()), only=only, before=_cursor(cursor), limit=limit + 1
            )
        page = found[:limit]
        next_cursor = f"{page[-1][1].last_ms}-{page[-1][0]}" if len(found) > limit else None
        items = [incident_item(number, one, links) for number, one in page]
        return IncidentPage(items=items, next_cursor=next_cursor, as_of=rfc3339(as_of) if as_of else None)

    @get(f"{BASE}/incidents/{{number:int}}")
    async def one(number: int) -> IncidentItem:
        async with database.transaction() as session:
            incident = await find_incident(session, number) if 0 < number <= LAST_ID else None
        if incident is None:
            raise _unknown("incident", number)
        return incident_item(number, incident, links)

    async def handle(
        request: Request[Any, Any, Any], number: int, action: str, act: Callable[..., Any]
    ) -> IncidentItem:
        asked = await read_body(request, Handle)
        who = await permit(database, people, asked, action, f"#{number}")
        done: Handled = await act(_id("incident", number), who, episode=asked.episode)
        if done.incident is None:
            raise _unknown("incident", number)
        if done.outcome is Outcome.OVER:
            raise Refused(409, "over", "that episode of the incident is over")
        return incident_item(number, done.incident, links)

    @post(f"{BASE}/incidents/{{number:int}}/ack", status_code=200, request_max_body_size=MOST_BYTES)
    async def ack(request: Request[Any, Any, Any], number: int) -> IncidentItem:
        return await handle(request, number, "ack", handling.ack)

    @post(f"{BASE}/incidents/{{number:int}}/unack", status_code=200, request_max_body_size=MOST_BYTES)
    async def unack(request: Request[Any, Any, Any], number: int) -> IncidentItem:
        return await handle(request, number, "unack", handling.unack)

    @post(f"{BASE}/incidents/{{number:int}}/resolve", status_code=200, request_max_body_size=MOST_BYTES)
    async def resolve(request: Request[Any, Any, Any], number: int) -> IncidentItem:
        return await handle(request, number, "resolve", handling.resolve)

    @post(f"{BASE}/incidents/{{number:int}}/note", status_code=200, request_max_body_size=MOST_BYTES)
    async def note(request: Request[Any, Any, Any], number: int) -> IncidentItem:
        asked = await read_body(request, WriteNote)
        if not asked.text.strip():
            raise Refused(400, "invalid", "text: expected some words")
        who = await permit(database, people, asked, "note", f"#{number}")
        noted = await handling.note_on(_id("incident", number), who, asked.text)
        if noted is None:
            raise _unknown("incident", number)
        return incident_item(number, noted, links)

    @get(f"{BASE}/silences")
    async def silences() -> dict[str, list[SilenceItem]]:
        return {"items": [silence_item(one) for one in await handling.silences()]}

    @post(f"{BASE}/silences", status_code=201, request_max_body_size=MOST_BYTES)
    async def silence(request: Request[Any, Any, Any]) -> SilenceItem:
        asked = await read_body(request, NewSilence)
        scope, until_ms = _scope(asked), _until_ms(asked)
        who = await permit(database, people, asked, "maintenance" if asked.is_maintenance else "silence", "")
        made = await handling.silence(
            scope, who, Place(0), until_ms=until_ms, reason=asked.reason, is_maintenance=asked.is_maintenance
        )
        return silence_item(made)

    @delete(f"{BASE}/silences/{{number:int}}", status_code=204)
    async def end(number: int, user_id: str = "", name: str = "", role: Role | None = None, address: str = "") -> None:
        asker = Asker(user_id=user_id, name=name, role=role, address=address)
        who = await permit(database, people, asker, "end silence", f"#{number}")
        if await handling.end_silence(_id("silence", number), who) is None:
            raise _unknown("silence", number)

    return [listed, one, ack, unack, resolve, note, silences, silence, end]


def incident_item(number: int, one: Incident, links: Links) -> IncidentItem:
    """An incident as it is told."""
    last, rule = one.last, one.rule or _event_rule(one.key.fingerprint)
    return IncidentItem(
        id=number,
        **one.key._asdict(),
        kind="rule" if rule else "failure",
        rule=rule or FAILED.name,
        title=last.error_type or "Error",
        error=last.error,
        state=one.phase.value,
        has_rung=one.has_rung,
        count=one.count,
        total=one.total,
        hidden=one.hidden,
        episode=one.episode,
        first_at=rfc3339(one.first_ms),
        last_at=rfc3339(one.last_ms),
        acked_by=one.ack.name if one.ack else None,
        acked_at=rfc3339(one.ack.at_ms) if one.ack else None,
        note=one.notes[-1].text if one.notes else None,
        silenced_until=rfc3339(one.silenced_until_ms) if one.silenced_until_ms else None,
        resolved_at=rfc3339(one.touched_ms) if one.is_over else None,
        regressed=one.previous_ms is not None,
        previous_at=rfc3339(one.previous_ms) if one.previous_ms else None,
        previous_by=one.previous_by or None,
        job_id=last.job_id,
        job_name=last.job_name,
        frame=last.frame,
        attempt=last.attempt,
        max_attempts=last.max_attempts,
        workers=dict(one.workers),
        runbook=links.runbook(one.key),
        notes=[NoteItem(by=note.by, at=rfc3339(note.at_ms), text=note.text) for note in one.notes],
    )


def _event_rule(fingerprint: str) -> str:
    """The rule over events that made an incident of this fingerprint; empty = a failure did."""
    mark, _, rule = fingerprint.partition(":")
    return rule if mark == "rule" else ""


def silence_item(one: Silence) -> SilenceItem:
    """A silence as it is told."""
    scope = one.scope
    return SilenceItem(
        id=one.id,
        is_maintenance=one.is_maintenance,
        env=scope.env,
        source=scope.source,
        queue=scope.queue,
        fingerprint=scope.fingerprint,
        reason=one.reason,
        by=one.by,
        from_at=rfc3339(one.from_ms),
        until=rfc3339(one.until_ms),
        hidden=one.hidden,
        kinds=dict(one.kinds),
    )


def _phases(states: Sequence[str]) -> frozenset[str]:
    """Phases by name, also comma-separated; `open` = all that is not over; empty = any."""
    words = frozenset(word.strip() for state in states for word in state.split(",") if word.strip())
    known = {one.value for one in Phase} | {"open"}
    if unknown := sorted(words - known):
        raise Refused(400, "invalid", f"state: no {unknown[0][:40]!r}; there are {', '.join(sorted(known))}")
    return (words - {"open"}) | (OPEN if "open" in words else frozenset[str]())


def _cursor(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    last_ms, _, number = text.partition("-")
    if not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in (last_ms, number)):
        raise Refused(400, "invalid", "cursor: expected next_cursor of the page before")
    return int(last_ms), int(number)


def _scope(asked: NewSilence) -> Scope:
    scope = Scope(asked.env, asked.source, asked.queue, asked.fingerprint)
    if asked.is_maintenance and (not scope.env or scope != Scope(env=scope.env)):
        raise Refused(400, "invalid", "env: a maintenance is of one env, and of nothing else")
    if scope.is_everything:
        raise Refused(400, "invalid", "env, source, queue, fingerprint: give at least one of them")
    return scope


def _until_ms(asked: NewSilence) -> int:
    now_ms = current_ms()
    if (asked.minutes is None) == (asked.until is None):
        raise Refused(400, "invalid", "minutes, until: give one of them")
    try:
        until = datetime.fromisoformat(asked.until) if asked.until is not None else None
    except ValueError:
        until = None
    if asked.until is not None and (until is None or until.tzinfo is None):
        raise Refused(400, "invalid", "until: expected a time, RFC 3339")
    until_ms = int(until.timestamp() * 1000) if until else now_ms + (asked.minutes or 0) * 60_000
    if not now_ms < until_ms <= now_ms + LONGEST_HOURS * HOUR_MS:
        raise Refused(400, "invalid", f"{'until' if until else 'minutes'}: from 1 minute to 7 days from now")
    return until_ms


def _id(what: str, number: int) -> int:
    if not 0 < number <= LAST_ID:
        raise _unknown(what, number)
    return number


def _unknown(what: str, number: int) -> Refused:
    return Refused(404, f"unknown_{what}", f"there is no {what} #{number}")
