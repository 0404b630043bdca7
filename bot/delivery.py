"""Drain the outbox: send and edit messages through the breaker, at a pace Telegram bears.

A message leaves the outbox when Telegram has taken it, or when it can never arrive; then it is dead, counted and shown.
Between Telegram's acceptance and our commit lies the only gap in which a crash doubles a message.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import structlog

from bot import texts
from bot.chats import Chats
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
from bot.messages import from_json
from bot.metrics import Metrics
from bot.pacing import Pacer
from bot.render.markup import strip_markup
from bot.store import outbox
from bot.store.database import Database
from bot.store.models import Card
from bot.telegram import TELEGRAM, Telegram
from tocsin.breakers import Breakers, Unavailable
from tocsin.health import Health

log = structlog.get_logger("delivery")

IDLE_SECONDS = 1.0
SHORTEST_NAP_SECONDS = 0.02
AT_ONCE = 8
LEASE_SPARE_SECONDS = 5.0
"""On top of the deadline of a call to Telegram: how long writing down its answer may take before others may send."""


@dataclass(frozen=True)
class Receipt:
    """Telegram took this version of a card, and we have not committed that yet."""

    card_id: int
    version: int
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

    def wake(self) -> None:
        """There is something to send."""
        self._work.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until stop. What is being sent then is finished; what waits, waits in Postgres."""
        while not stop.is_set():
            self._work.clear()
            nap = IDLE_SECONDS
            try:
                nap = await self._round()
            except Unavailable as failure:
                log.info("delivery_waits", error=str(failure))
            await self._nap(nap, stop)

    async def _nap(self, seconds: float, stop: asyncio.Event) -> None:
        if seconds <= 0:
            return
        waits = [asyncio.create_task(self._work.wait()), asyncio.create_task(stop.wait())]
        try:
            # Chats that rest are not made to wait less by new work, but others may have some.
            await asyncio.wait(waits, timeout=max(seconds, SHORTEST_NAP_SECONDS), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _round(self) -> float:
        """Send what may be sent now; return the seconds until there may be more. Raises Unavailable."""
        await self._commit_receipts()
        resting = self.pacer.resting(time.monotonic())
        async with self.database.transaction() as session:
            cards = await outbox.claim_due(
                session,
                now_ms=_now_ms(),
                not_to=resting,
                most=AT_ONCE,
                sender=self.sender,
                lease_seconds=self.call_seconds + LEASE_SPARE_SECONDS,
            )
        self.health.ok("postgres")
        await self._send_all(cards)
        await self._commit_receipts()
        if cards:
            return 0
        return min([IDLE_SECONDS, *resting.values()])

    async def _send_all(self, cards: Sequence[Card]) -> None:
        """Send to several chats at once. An open breaker stops the round."""
        outcomes = await asyncio.gather(*(self._deliver(card) for card in cards), return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for failure in failures:
            if not isinstance(failure, Unavailable):
                raise failure
        if failures:
            raise failures[0]

    async def _deliver(self, card: Card) -> None:
        self.pacer.spoke(card.chat_id, time.monotonic())
        try:
            async with self.breakers.guard(TELEGRAM, errors_that_count=(Unreachable,)):
                message_id = await self._speak(card)
        except TelegramError as failure:
            await self._refused(card, failure)
            return
        self._receipts[card.id] = Receipt(card.id, card.wanted, message_id, _now_ms())
        self.health.ok(TELEGRAM)
        self.metrics.sent.labels("edit" if card.message_id else "new").inc()
        if card.message_id is None:
            self.metrics.ring_seconds.observe(max(0.0, (_now_ms() - card.created_ms) / 1000))

    async def _speak(self, card: Card) -> int:
        buttons = from_json(card.buttons)
        if card.message_id is not None:
            await self.telegram.edit(card.chat_id, card.message_id, card.text, buttons=buttons)
            return card.message_id
        return await self.telegram.send(
            card.chat_id, card.text, topic_id=card.topic_id, is_silent=card.is_silent, buttons=buttons
        )

    async def _commit_receipts(self) -> None:
        """Write down what Telegram took. Nothing else is sent before: Postgres would offer the same cards again."""
        if not self._receipts:
            return
        receipts = list(self._receipts.values())
        async with self.database.transaction() as session:
            for one in receipts:
                await outbox.mark_sent(
                    session,
                    one.card_id,
                    one.version,
                    one.message_id,
                    now_ms=one.at_ms,
                    not_before_ms=one.at_ms + int(self.edit_seconds * 1000),
                )
        for one in receipts:
            del self._receipts[one.card_id]

    async def _refused(self, card: Card, failure: TelegramError) -> None:
        """Telegram answered no: do what that answer asks for."""
        if isinstance(failure, RateLimited):
            self.pacer.freeze(card.chat_id, failure.retry_after, time.monotonic())
            self.metrics.rate_limited.inc()
            log.warning("rate_limited", chat=card.chat_id, seconds=failure.retry_after)
            return
        log.warning("message_refused", chat=card.chat_id, card=card.id, error=str(failure))
        async with self.database.transaction() as session:
            match failure:
                case Migrated():
                    await outbox.move_chat(session, card.chat_id, failure.new_chat_id)
                case TopicGone() if card.topic_id is not None:
                    await outbox.move_to_general(session, card.id, f"{texts.TOPIC_GONE}\n{card.text}")
                case Rejected() if card.text != strip_markup(card.text):
                    await outbox.replace_text(session, card.id, card.wanted, strip_markup(card.text))
                case MessageGone() if not card.text.startswith(texts.ICON_RESOLVED):
                    # The trouble goes on and nobody can see it any more; a deleted topic looks like this too.
                    await outbox.send_anew(session, card.id)
                case MessageGone():
                    await outbox.mark_ended(session, card.id, "closed", "the message was removed", now_ms=_now_ms())
                case _:
                    reason = "chat gone" if isinstance(failure, Gone) else "refused"
                    note = f"{reason}: {failure}"[:200]
                    await outbox.mark_ended(session, card.id, "dead", note, now_ms=_now_ms())
                    self.metrics.dead.labels(reason).inc()
        if isinstance(failure, Migrated):
            self.chats.learn({card.chat_id: failure.new_chat_id})


def _now_ms() -> int:
    return int(time.time() * 1000)
