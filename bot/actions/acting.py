"""Let the bridge act on jobs and queues: count, confirm, do it once, and tell what came of it.

What was confirmed is in Postgres before the bridge hears of it, and the bridge does one request once: so a bot that
dies begins again where it was. What the jobs come to is read from their own events, by a reader of its own.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import structlog

from bot import texts
from bot.actions.action import (
    ASK_SECONDS,
    SEND_SECONDS,
    Action,
    Fate,
    Stage,
    count,
    counted,
    ended,
    fates_of,
    follow,
)
from bot.actions.bridge import Answer, Bridge, may_have_heard
from bot.incidents.handling import Handling
from bot.incidents.machine import Incident, Person, note
from bot.kafka import KafkaError, KafkaRecord, Replay
from bot.people.seal import Seal
from bot.render.actions import action_buttons, action_text, note_words, outcome_words
from bot.routing.routes import Destination
from bot.store import actions as stored
from bot.store import audit
from bot.store.audit import Actor
from bot.store.database import Database, Session
from bot.store.incidents import lock_incident, to_incident
from bot.store.models import ActionRow
from bot.store.outbox import ACTION, Subject, put, rewrite_action
from tocsin.breakers import Unavailable
from tocsin.events import BadRecord, JobEvent, decode
from tocsin.lifecycle import first_set, pause
from tocsin.times import current_ms
from tocsin.topics import partition_of, queue_key

log = structlog.get_logger("acting")

COUNT_SECONDS = 10.0
"""A person waits for the count."""
LOOK_SECONDS = 2.0
LEASE_SECONDS, FOLLOW_LEASE_SECONDS = 60.0, 20.0
"""How long nobody else takes an action up: longer than the bridge, and a look at Kafka, may take."""
RETRY_SECONDS = 3.0
SAVE_SECONDS = 5.0
READ_SECONDS, READ_RECORDS = 0.5, 2000
FATES_AT_ONCE = 10_000
SENT_AT_ONCE, FOLLOWED_AT_ONCE = 8, 32
"""Apart: jobs may be followed for hours, and what somebody has just confirmed must not wait for that."""
OUTCOMES: Mapping[Stage, str] = {Stage.ENDED: "done", Stage.REFUSED: "refused", Stage.UNKNOWN: audit.NOT_KNOWN}
"""How an action ends, in the audit's words."""


@dataclass(frozen=True)
class Wish:
    """What somebody wants done. wanted: the bridge's job_ids or filter; empty for a queue."""

    action: str
    env: str
    source: str
    queue: str
    wanted: dict[str, Any] = field(default_factory=dict[str, Any])
    incident_id: int | None = None
    kind: str = ""


class TakenOver(Exception):
    """Another bot is at this action now: it was not renewed in time."""


class NotDone(Exception):
    """The bridge, or a tap that came too late, says no; the text is for people."""


@dataclass
class Acting:
    """One for the process. open_feed: a reader of the jobs topic. woken: called after a commit that wants messages."""

    database: Database
    bridge: Bridge
    handling: Handling
    seal: Seal
    open_feed: Callable[[], Replay]
    woken: Callable[[], None]
    is_configured: bool = True
    sender: str = field(default_factory=lambda: uuid4().hex)
    _work: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: dict[int, Stage] = field(default_factory=dict[int, Stage])

    async def ask(self, wish: Wish, who: Person, to: Destination) -> tuple[Action, dict[str, int]]:
        """Let the bridge count, and keep that for a second tap; with it, what is not among them, by outcome.

        Raises NotDone, or Unavailable for the bridge and Postgres.
        """
        body = {**_body(wish), "request_id": f"count-{uuid4().hex}", "user_id": who.known_as, "dry_run": True}
        answer = await self.bridge.act(body, seconds=COUNT_SECONDS)
        if answer.error:
            raise NotDone(_reason(answer))
        found, outcomes = int(answer.body["count"]), dict[str, int](answer.body.get("outcomes", {}))
        outcomes.pop("done", None)
        asked = Action(
            0, Stage.ASKED, wish.action, wish.env, wish.source, wish.queue, counted(wish.wanted, answer.body), found,
            wish.incident_id, wish.kind, who.name, current_ms(),
        )  # fmt: skip
        if found:
            async with self.database.transaction() as session:
                asked = await stored.add_action(session, asked, to, who.known_as)
        return asked, outcomes

    async def begin(self, action_id: int, who: Person, message_id: int | None) -> tuple[Action, bool]:
        """A second tap: from now on it is done, once. Returns it, and whether this tap began it. Raises NotDone."""
        now_ms = current_ms()
        async with self.database.transaction() as session:
            row = await stored.hold_action(session, action_id)
            if row is None:
                raise NotDone
            action = stored.to_action(row)
            if action.stage is not Stage.ASKED:
                return action, False
            if now_ms - action.asked_ms > ASK_SECONDS * 1000:
                raise NotDone
            action = replace(action, stage=Stage.BEGUN, begun_ms=now_ms, by=who.name)
            row.by_id = who.known_as
            stored.write_action(row, action)
            actor = Actor.of(who)
            target = f"{action.source}/{action.queue}"
            await audit.begin(
                session, actor, action.action, target, request_id=action.request_id, digest=str(action.id)
            )
            to = Destination(row.chat_id, row.topic_id)
            put(
                session, Subject(ACTION, action_id=action.id), to, action_text(action), (),
                now_ms=now_ms, message_id=message_id,
            )  # fmt: skip
        self.woken()
        self._work.set()
        return action, True

    async def cancel(self, action_id: int, who: Person) -> Action:
        """Do not do it. Returns it: cancelled, now or before, or else it has begun. Raises NotDone."""
        async with self.database.transaction() as session:
            row = await stored.hold_action(session, action_id)
            if row is None:
                raise NotDone
            action = stored.to_action(row)
            if action.stage is not Stage.ASKED:
                return action
            action = replace(action, stage=Stage.CANCELLED, by=who.name, ended_ms=current_ms())
            stored.write_action(row, action)
        return action

    async def failed_again(self, action_id: int) -> tuple[Action, list[str]] | None:
        """An action, and its jobs that failed again."""
        async with self.database.transaction() as session:
            row = await session.get(ActionRow, action_id)
            if row is None:
                return None
            return stored.to_action(row), await stored.jobs_of(session, action_id, Fate.FAILED)

    async def run(self, stop: asyncio.Event) -> None:
        """Carry out what was confirmed, and follow it, until stop; another bot, or the next start, goes on then."""
        async with asyncio.TaskGroup() as tasks:
            while not stop.is_set():
                self._work.clear()
                try:
                    while (action := await self._claim()) is not None:
                        self._busy[action.id] = action.stage
                        tasks.create_task(self._carry(action, stop))
                except Unavailable as failure:
                    log.info("acting_waits", error=str(failure))
                await first_set(self._work, stop, seconds=LOOK_SECONDS)

    def _has_room(self, stage: Stage) -> bool:
        most = SENT_AT_ONCE if stage is Stage.BEGUN else FOLLOWED_AT_ONCE
        return sum(one is stage for one in self._busy.values()) < most

    async def _claim(self) -> Action | None:
        stages = [one for one in stored.UNDER_WAY if self._has_room(one)]
        if not stages:
            return None
        async with self.database.transaction() as session:
            row = await stored.claim_action(
                session, stages, sender=self.sender, lease_seconds=LEASE_SECONDS, not_these=self._busy
            )
            return None if row is None else stored.to_action(row)

    async def _carry(self, action: Action, stop: asyncio.Event) -> None:
        """Do what is left of one action. Whatever stands in the way, it is taken up again."""
        feed: Replay | None = None
        try:
            if action.stage is Stage.BEGUN and _is_too_late(action):
                await self._end_undone(action, _too_late_words(action))
                return
            partition = 0
            if action.is_on_jobs:
                feed = self.open_feed()
                partition = partition_of(action.source, action.queue, await feed.start())
                if action.offset is None:
                    action = await self._save(replace(action, offset=(await feed.ends([partition]))[partition]))
            while action.stage is Stage.BEGUN and not stop.is_set():
                action = await self._send(action, stop)
            if action.stage is Stage.FOLLOWING and feed is not None and action.offset is not None:
                if self._busy[action.id] is not Stage.FOLLOWING and not self._has_room(Stage.FOLLOWING):
                    return  # its events stay in Kafka until it is its turn
                self._busy[action.id] = Stage.FOLLOWING
                feed.place({partition: action.offset})
                await self._follow(action, feed, partition, stop)
        except (Unavailable, KafkaError, TimeoutError, TakenOver) as failure:
            log.warning("action_interrupted", action=action.id, error=f"{type(failure).__name__}: {failure}"[:200])
            await pause(stop, RETRY_SECONDS)
        except Exception as error:  # one action that cannot be carried out must not end the others, nor the bot
            log.error("action_failed", action=action.id, error=type(error).__name__, exc_info=error)
            await pause(stop, RETRY_SECONDS)
        finally:
            if feed is not None:
                await feed.stop()
            await self._give_back(action)
            self._busy.pop(action.id, None)
            self._work.set()

    async def _give_back(self, action: Action) -> None:
        try:
            async with self.database.transaction() as session:
                await stored.renew_claim(session, action.id, self.sender, 0)
        except Unavailable as failure:
            log.info("action_not_given_back", action=action.id, error=str(failure))

    async def _send(self, action: Action, stop: asyncio.Event) -> Action:
        """Let the bridge do it; the same request again goes on where it was.

        That it may have heard of it is in Postgres before it can: so whoever takes it up after us knows that, too.
        """
        was_sent_ms = action.sent_ms
        action = replace(action, sent_ms=was_sent_ms or current_ms())
        by_id = await self._note_sent(action)
        wish = Wish(action.action, action.env, action.source, action.queue, dict(action.wanted))
        waits = RETRY_SECONDS
        try:
            answer = await self.bridge.act({**_body(wish), "request_id": action.request_id, "user_id": by_id})
        except Unavailable as failure:
            reason, is_final, may_be_done = (
                f"the bridge does not answer ({failure.reason})",
                False,
                may_have_heard(failure),
            )
        else:
            if not answer.error:
                return await self._done(action, answer)
            reason, may_be_done = _reason(answer), answer.may_be_done
            is_final = answer.status != 503 or answer.error == "not_configured"
            waits = float(answer.retry_after or RETRY_SECONDS)
        if not may_be_done and was_sent_ms is None:
            action = replace(action, sent_ms=None)
        if is_final:
            return await self._end_undone(action, reason)
        if _is_too_late(action):
            return await self._end_undone(action, f"{reason}; I have tried for {SEND_SECONDS / 60:.0f} min")
        if action.sent_ms is None:
            await self._note_sent(action)
        log.info("action_waits", action=action.id, reason=reason[:200])
        await pause(stop, min(waits, 30.0))
        return action

    async def _done(self, action: Action, answer: Answer) -> Action:
        fates = fates_of(answer.body.get("results", [])) if action.is_on_jobs else {}
        is_over = not any(fate is Fate.WAITS for fate in fates.values())
        now_ms = current_ms()
        after = replace(
            action,
            stage=Stage.ENDED if is_over else Stage.FOLLOWING,
            count=int(answer.body["count"]),
            fates=count(fates.values()),
            ended_ms=now_ms if is_over else None,
        )
        if not action.is_on_jobs and not after.count:
            reason = "; ".join(str(one.get("message", "")) for one in answer.body["results"])
            return await self._end_undone(replace(action, sent_ms=None), reason)
        await self._remember(action, list(fates.items()))
        return await self._save(after)

    async def _remember(self, action: Action, fates: Sequence[tuple[str, Fate]]) -> None:
        """Store the jobs of an action, so many at once as are stored within a transaction's time."""
        for at in range(0, len(fates), FATES_AT_ONCE):
            async with self.database.transaction() as session:
                await stored.add_fates(session, action.id, dict(fates[at : at + FATES_AT_ONCE]))

    async def _note_sent(self, action: Action) -> str:
        """Store whether the bridge may be at it; return the id of who wants it."""
        async with self.database.transaction() as session:
            row = await stored.hold_action(session, action.id)
            if row is None or not await stored.renew_claim(session, action.id, self.sender, LEASE_SECONDS):
                raise TakenOver
            row.sent_ms = action.sent_ms
            return row.by_id

    async def _end_undone(self, action: Action, reason: str) -> Action:
        """It was not done; or nobody knows, once the bridge may have been at it."""
        stage = Stage.REFUSED if action.sent_ms is None else Stage.UNKNOWN
        return await self._save(replace(action, stage=stage, note=reason[:1000], ended_ms=current_ms()))

    async def _follow(self, action: Action, feed: Replay, partition: int, stop: asyncio.Event) -> None:
        """Read on until every job has ended. What was read is stored with how far it was read."""
        async with self.database.transaction() as session:
            fates = await stored.fates(session, action.id)
        key, saved_at = queue_key(action.source, action.queue).encode(), time.monotonic()
        while action.stage is Stage.FOLLOWING and not stop.is_set():
            records = await feed.read(wait_seconds=READ_SECONDS, most=READ_RECORDS)
            changed = follow(fates, action.action, _events(records, key))
            fates.update(changed)
            action = replace(action, offset=await feed.position(partition), fates=count(fates.values()))
            action = ended(action, now_ms=current_ms()) or action
            if changed or action.stage is Stage.ENDED or time.monotonic() - saved_at > SAVE_SECONDS:
                action, saved_at = await self._save(action, changed=changed), time.monotonic()

    async def _save(
        self,
        action: Action,
        *,
        changed: dict[str, Fate] | None = None,
    ) -> Action:
        """Store how it goes, and let its message say so."""
        async with self.database.transaction() as session:
            row = await stored.hold_action(session, action.id)
            if row is None or row.claimed_by != self.sender:
                raise TakenOver
            await stored.change_fates(session, action.id, changed or {})
            stored.write_action(row, action)
            is_followed = action.stage is Stage.FOLLOWING
            lease = FOLLOW_LEASE_SECONDS if is_followed else LEASE_SECONDS
            await stored.renew_claim(session, action.id, self.sender, lease)
            text, buttons = action_text(action), action_buttons(action, self.seal)
            await rewrite_action(session, action.id, text, buttons, now_ms=current_ms())
            if action.stage in OUTCOMES:
                await self._conclude(session, row, action)
        self.woken()
        return action

    async def _conclude(self, session: Session, row: ActionRow, action: Action) -> None:
        """The audit is complete, and the incident remembers it."""
        is_done = action.stage is Stage.ENDED
        outcome = f"{OUTCOMES[action.stage]}: {(outcome_words(action) or action.count) if is_done else action.note}"
        await audit.end(session, action.request_id, outcome)
        log.info("action_ended", action=action.id, what=action.action, outcome=outcome[:200])
        incident_row = None if action.incident_id is None else await lock_incident(session, action.incident_id)
        if incident_row is None or not is_done or not action.is_on_jobs:
            return
        who = Person(0, action.by, account=row.by_id)
        noted: Incident = note(to_incident(incident_row), who, note_words(action), now_ms=current_ms())
        await self.handling.show(session, incident_row, noted, current_ms())


def _body(wish: Wish) -> dict[str, Any]:
    return {"action": wish.action, "source": wish.source, "queue": wish.queue, **wish.wanted}


def _is_too_late(action: Action) -> bool:
    """Whether nobody expects any more that it is done: who confirmed it may have helped themselves meanwhile."""
    return current_ms() - (action.begun_ms or 0) > SEND_SECONDS * 1000


def _too_late_words(action: Action) -> str:
    words = texts.NOT_SENT_IN_TIME if action.sent_ms is None else texts.NOT_HEARD_OF_IN_TIME
    return words.format(minutes=round(SEND_SECONDS / 60))


def _reason(answer: Answer) -> str:
    told = [str(answer.body.get(part) or "") for part in ("message", "mend")]
    return "; ".join(part for part in told if part) or answer.error


def _events(records: Iterable[KafkaRecord], key: bytes) -> Iterable[JobEvent]:
    for record in records:
        if record.key != key or record.value is None:
            continue
        try:
            yield decode(JobEvent, record.value)
        except BadRecord:
            continue  # the consumer counts and logs it
