"""Drain the outbox: send and edit messages through the breaker, at a pace Telegram bears.

A message leaves the outbox when Telegram has taken it, or when Telegram refuses the message itself; then it is dead,
counted and shown. A chat that does not let us in is tried again and again, and at once when it speaks to us. Between
Telegram's acceptance and our commit lies the only gap in which a crash doubles a message; no other chat and no nap
makes it longer.
"""

import asyncio
import time
from dataclasses import dataclass, field
from uuid import uuid4

import structlog

from bot import texts
from bot.delivery.messages import from_json
from bot.delivery.pacing import Pacer
from bot.errors import (
    Gone,
    MessageGone,
    Migrated,
    RateLimited,
    Rejected,
    TelegramError,
    TopicGone,
    Unreachable,
)
from bot.metrics import Metrics
from bot.render.markup import strip_markup
from bot.render.outbox import dropped_text
from bot.routing.chats import Chats
from bot.store import chats, claims, outbox, paces
from bot.store.database import Database, Session
from bot.store.models import Card
from bot.store.stale import drop_stale
from bot.store.subscriptions import move_subscriptions
from bot.telegram import TELEGRAM, Telegram
from tocsin.breakers import Breakers, Unavailable
from tocsin.health import Health
from tocsin.lifecycle import first_set
from tocsin.times import current_ms

log = structlog.get_logger("delivery")

IDLE_SECONDS = 1.0
SHORTEST_NAP_SECONDS = 0.02
AT_ONCE = 8
SWEEP_SECONDS = 5.0
SAME_SECONDS = 1.0
"""A chat's rest that two bots know to within this is the same."""
NEW_SECONDS = 30.0
"""What a new message may take: given up too early, one that Telegram took slowly would be sent again."""
LEASE_SPARE_SECONDS = 5.0
"""On top of the deadline of a call to Telegram: how long a claim may take to be answered, and once more how long
writing down what Telegram said. A call that would begin later, as this process was stopped meanwhile, is not made."""
MOST_SECONDS_APART, MOST_SECONDS_UNSURE = 60, 300
"""Between tries of one message; the longer when each may have arrived and only its answer was lost."""
GONE_SECONDS, MOST_SECONDS_GONE = 60, 3600
"""Between tries of a chat that does not let us in."""


def pause_after(failures: int, cause: BaseException | None) -> float:
    """Seconds until a message that failed so often in a row may be tried again."""
    most = MOST_SECONDS_APART if type(cause) is Unreachable else MOST_SECONDS_UNSURE
    return min(2.0 ** min(failures, 20), most)


def pause_gone(failures: int) -> float:
    """Seconds until a chat that refused us so often in a row is tried again."""
    return min(GONE_SECONDS * 2.0 ** min(failures - 1, 20), MOST_SECONDS_GONE)


@dataclass(frozen=True)
class Receipt:
    """Telegram took a card as it was claimed, and we have not committed that yet."""

    card: Card
    message_id: int
    at_ms: int


@dataclass
class Delivery:
    """The one sender of this process. sender: its name among those who share the database.

    call_seconds: the deadline of a call to Telegram.
    """

    database: Database
    telegram: Telegram
    breakers: Breakers
    chats: Chats
    metrics: Metrics
    health: Health
    edit_seconds: float
    call_seconds: float
    sender: str = field(default_factory=lambda: uuid4().hex)
    pacer: Pacer = field(default_factory=Pacer)
    _work: asyncio.Event = field(default_factory=asyncio.Event)
    _receipts: dict[int, Receipt] = field(default_factory=dict[int, Receipt])
    _busy: dict[int, Card] = field(default_factory=dict[int, Card])
    """Chat -> what is being sent to it, until it is written down what came of it."""
    _away: set[int] = field(default_factory=set[int])
    _let_in: set[int] = field(default_factory=set[int])
    _swept_at: float | None = None

    @property
    def _new_seconds(self) -> float:
        return max(NEW_SECONDS, self.call_seconds)

    @property
    def _spare_seconds(self) -> float:
        return max(LEASE_SPARE_SECONDS, self.call_seconds)

    def wake(self) -> None:
        """There is something to send."""
        self._work.set()

    def notice(self, chat_id: int) -> None:
        """Something happened in a chat: if it did not let us in, it does now."""
        if chat_id in self._away or self.chats.may_ring(chat_id):
            self._away.discard(chat_id)
            self._let_in.add(chat_id)
            self.wake()

    async def hear_of_move(self, old: int, new: int) -> None:
        """Telegram says that a group has a new id. Groups that no alert goes to are not kept: anybody can make them."""
        if self.chats.may_ring(old):
            await self.follow(old, new)

    async def follow(self, old: int, new: int) -> None:
        """A group has a new id: what waits for it goes there. Where Postgres is away, the next message finds out."""
        self.chats.learn({old: new})
        try:
            async with self.database.transaction() as session:
                await chats.move_chat(session, old, new)
                await move_subscriptions(session, old, new)
        except Unavailable as failure:
            log.info("move_not_written", chat=old, to=new, error=str(failure))
        self.wake()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until stop. What is being sent then is finished; what waits, waits in Postgres."""
        try:
            async with asyncio.TaskGroup() as sending:
                while not stop.is_set():
                    self._work.clear()
                    nap = IDLE_SECONDS
                    try:
                        nap = await self._round(sending)
                    except Unavailable as failure:
                        log.info("delivery_waits", error=str(failure))
                    # Chats that rest are not made to wait less by new work, but others may have some.
                    await first_set(self._work, stop, seconds=max(nap, SHORTEST_NAP_SECONDS))
        finally:
            await self._commit_last()

    async def _round(self, sending: asyncio.TaskGroup) -> float:
        """Begin to send what may be sent now; return the seconds until there may be more. Raises Unavailable.

        One message at a time to a chat: a slow chat holds up no other.
        """
        await self._commit_receipts()
        await self._commit_let_in()
        now = time.monotonic()
        resting, overall, free = self.pacer.resting(now), self.pacer.overall.wait(now), AT_ONCE - len(self._busy)
        if self.breakers.is_open(TELEGRAM) or free <= 0:
            return IDLE_SECONDS
        if overall > 0:
            return overall
        if self._swept_at is None or now - self._swept_at > SWEEP_SECONDS:
            await self._drop_stale()
            await self._hear_who_is_away()
            self._swept_at = now
        await self._tell_pace()
        async with self.database.transaction() as session:
            await self._hear_pace(session)
            begins_by = time.monotonic() + self._spare_seconds
            cards = await claims.claim_due(
                session,
                now_ms=current_ms(),
                not_to={*resting, *self._busy},
                most=free,
                sender=self.sender,
                spared_seconds=self.database.spared_seconds,
                lease_seconds=self._new_seconds + 2 * self._spare_seconds,
            )
        self.health.ok("postgres")
        for card in cards:
            self._busy[card.chat_id] = card
            sending.create_task(self._deliver(card, begins_by))
        return min([IDLE_SECONDS, *resting.values()])

    async def _tell_pace(self) -> None:
        """Tell the other bots what was said beside the outbox and which chat wants silence.

        Each in a transaction of its own: the one holds the row of all chats at its end, and so may wait for no chat's.
        What was said is told again if that transaction fails.
        """
        if answered := self.pacer.answered.copy():
            async with self.database.transaction() as session:
                await paces.spend(session, answered)
            self.pacer.answered -= answered
        if known := self.pacer.frozen(time.monotonic()):
            async with self.database.transaction() as session:
                told = await paces.frozen(session)
                for chat_id, seconds in sorted(known.items()):
                    if seconds > told.get(chat_id, 0) + SAME_SECONDS:
                        await paces.freeze(session, chat_id, seconds)

    async def _hear_pace(self, session: Session) -> None:
        """Hear from the other bots which chats want silence."""
        now = time.monotonic()
        for chat_id, seconds in (await paces.frozen(session)).items():
            self.pacer.freeze(chat_id, seconds, now)

    async def _hear_who_is_away(self) -> None:
        """Another bot may have met the refusal, or we in an earlier life; who speaks to us is noticed here."""
        async with self.database.transaction() as session:
            self._away |= await chats.away(session)

    async def _drop_stale(self) -> None:
        """Before anything is sent, leave out what is too old to be of use, and say so where it would have come."""
        now_ms = current_ms()
        async with self.database.transaction() as session:
            dropped = await drop_stale(session, now_ms=now_ms, spared_seconds=self.database.spared_seconds)
            for one in dropped:
                text = dropped_text(one.edits, one.sounds)
                outbox.put(session, outbox.Subject(outbox.NOTICE), one.to, text, (), now_ms=now_ms)
        for one in dropped:
            log.warning("stale_dropped", chat=one.to.chat_id, edits=one.edits, sounds=one.sounds)
            self.metrics.dropped.labels("edit").inc(one.edits)
            self.metrics.dropped.labels("sound").inc(one.sounds)

    async def _deliver(self, card: Card, begins_by: float) -> None:
        """Send one message and write down what came of it. If Postgres is away, the next round has it written.

        begins_by: by the monotonic clock; after that another may have claimed it meanwhile.
        """
        try:
            if time.monotonic() > begins_by:
                log.warning("claim_too_old", chat=card.chat_id, card=card.id)
                return
            await self._send(card)
            await self._commit_receipts()
        except Unavailable as failure:
            log.info("outcome_not_written", card=card.id, error=str(failure))
        finally:
            if card.id not in self._receipts:
                self._free(card)
            self.wake()

    def _free(self, card: Card) -> None:
        """Its chat may have another message; it may have it already, if somebody else was faster to write this down."""
        if self._busy.get(card.chat_id) is card:
            del self._busy[card.chat_id]

    async def _send(self, card: Card) -> None:
        is_tried = False
        seconds = self.call_seconds if card.message_id else self._new_seconds
        try:
            async with self.breakers.guard(TELEGRAM, timeout=seconds, errors_that_count=(Unreachable,)):
                is_tried = True
                self.pacer.spoke(card.chat_id, time.monotonic())
                message_id = await self._speak(card)
        except Unavailable as failure:
            if is_tried:
                await self._put_off(card, failure)
            return
        except TelegramError as failure:
            await self._refused(card, failure)
            return
        self._receipts[card.id] = Receipt(card, message_id, current_ms())
        if card.note or card.chat_id in self._away:
            self.notice(card.chat_id)
        self.health.ok(TELEGRAM)
        self.metrics.sent.labels("edit" if card.message_id else "new").inc()
        if card.message_id is None:
            self.metrics.ring_seconds.observe(max(0.0, (current_ms() - card.created_ms) / 1000))

    async def _put_off(self, card: Card, failure: Unavailable) -> None:
        """A try was in vain: others of this chat go first meanwhile."""
        pause = pause_after(card.failures + 1, failure.__cause__)
        log.warning("message_not_sent", chat=card.chat_id, card=card.id, error=str(failure), retry_seconds=pause)
        async with self.database.transaction() as session:
            await claims.put_off(session, card.id, current_ms() + int(pause * 1000))

    async def _speak(self, card: Card) -> int:
        buttons = from_json(card.buttons)
        if card.message_id is not None:
            await self.telegram.edit(card.chat_id, card.message_id, card.text, buttons=buttons)
            return card.message_id
        return await self.telegram.send(
            card.chat_id,
            card.text,
            topic_id=None if card.in_general else card.topic_id,
            is_silent=card.is_silent,
            buttons=buttons,
            reply_to=card.reply_to,
            seconds=self._new_seconds,
        )

    async def _commit_receipts(self) -> None:
        """Write down what Telegram took, each in a transaction of its own: who holds one row deadlocks with nobody."""
        for one in list(self._receipts.values()):
            if self._receipts.get(one.card.id) is not one:
                continue  # somebody else was faster
            async with self.database.transaction() as session:
                await claims.mark_sent(
                    session,
                    one.card.id,
                    one.card.wanted,
                    one.message_id,
                    chat_id=one.card.chat_id,
                    now_ms=one.at_ms,
                    not_before_ms=one.at_ms + int(self.edit_seconds * 1000),
                )
            if self._receipts.get(one.card.id) is one:
                del self._receipts[one.card.id]
            self._free(one.card)

    async def _commit_last(self) -> None:
        """At the end, once more write down what Telegram took, or the next start would send it again; free the rest.

        The first transaction that misses its deadline is the last.
        """
        try:
            await self._commit_receipts()
            async with self.database.transaction() as session:
                await claims.give_back(session, self.sender)
        except Unavailable as failure:
            log.error("last_words_not_written", messages=len(self._receipts), error=str(failure))

    async def _commit_let_in(self) -> None:
        let_in = set(self._let_in)
        if let_in:
            async with self.database.transaction() as session:
                await chats.let_in(session, let_in)
            self._let_in -= let_in

    async def _refused(self, card: Card, failure: TelegramError) -> None:
        """Telegram answered no: do what that answer asks for."""
        if isinstance(failure, RateLimited):
            self.pacer.freeze(card.chat_id, failure.retry_after, time.monotonic())
            self.metrics.rate_limited.inc()
            log.warning("rate_limited", chat=card.chat_id, seconds=failure.retry_after)
            async with self.database.transaction() as session:
                await paces.freeze(session, card.chat_id, failure.retry_after)
            return
        log.warning("message_refused", chat=card.chat_id, card=card.id, error=str(failure))
        if isinstance(failure, Migrated):
            await self.follow(card.chat_id, failure.new_chat_id)
            return
        async with self.database.transaction() as session:
            match failure:
                case TopicGone() if card.topic_id is not None and not card.in_general:
                    text = f"{texts.TOPIC_GONE}\n{card.text}"
                    await claims.move_to_general(session, card.id, card.wanted, text)
                case Gone() | TopicGone():  # the General topic may be closed too
                    pause = pause_gone(card.failures + 1)
                    until_ms = current_ms() + int(pause * 1000)
                    self._away.add(card.chat_id)
                    self.metrics.refused.inc()
                    await chats.put_chat_off(session, card.chat_id, card.failures + 1, _note(failure), until_ms)
                case Rejected() if card.buttons or card.text != strip_markup(card.text):
                    await claims.make_plain(session, card.id, card.wanted, strip_markup(card.text))
                case MessageGone() if not card.text.startswith(texts.ICON_RESOLVED):
                    # The trouble goes on and nobody can see it any more; a deleted topic looks like this too.
                    await claims.send_anew(session, card.id)
                case MessageGone():
                    await claims.mark_ended(session, card.id, "closed", "the message was removed", now_ms=current_ms())
                case _:
                    await claims.mark_ended(session, card.id, "dead", _note(failure), now_ms=current_ms())
                    self.metrics.dead.labels("refused").inc()


def _note(failure: TelegramError) -> str:
    return f"{failure}"[:200] or "refused"
