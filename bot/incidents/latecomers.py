"""What was read too late to ring one by one, to messages: a summary for each chat, and one word for channels."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.delivery.channels import Channel, What, matching, told_of_late
from bot.incidents.failures import Key
from bot.incidents.late import Late, add_late
from bot.incidents.machine import Step
from bot.render.alert import Links, late_text
from bot.render.incidents import REMINDER_BUTTONS
from bot.render.markup import plain
from bot.routing.chats import Chats
from bot.routing.routes import Destination
from bot.rules.policy import Policy
from bot.store.database import Session
from bot.store.dispatches import dispatch, told_ring
from bot.store.late import lock_over, open_summary, save_summary, to_late
from bot.store.outbox import LATE, Subject, put, rewrite_late
from bot.texts import LATE_OVER

AT_ONCE = 100
NOBODY = Destination(0)
"""Whose summary it is where no chat hears of a queue, but channels may: no chat has this id."""


@dataclass(frozen=True)
class Latecomers:
    """All of it inside the caller's transaction."""

    policy: Policy
    chats: Chats
    links: Links
    channels: Sequence[Channel]

    async def tell(self, session: Session, steps: Sequence[Step], *, now_ms: int) -> int:
        """Add these to the summary of every chat that would have heard of them; return how many begin for nobody.

        Holds the summaries, in one order, so that nobody deadlocks.
        """
        late: dict[Destination, list[Step]] = {}
        for one in steps:
            heard = self.chats.hear_of(one.incident.key, [paged.place for paged in one.incident.paged])
            for to in heard or [NOBODY]:
                late.setdefault(to, []).append(one)
        told: set[tuple[str, Key]] = set()
        unrouted = 0
        for to, mine in sorted(late.items(), key=lambda one: (one[0].chat_id, one[0].topic_id or 0)):
            late_id, summary, is_new = await self._summarise(session, to, mine, now_ms)
            await self._tell_channels(session, late_id, summary, mine, told, now_ms=now_ms)
            unrouted += is_new and to == NOBODY
        return unrouted

    async def end(self, session: Session, *, now_ms: int) -> int:
        """Let channels hear which summaries are over: nothing more comes, and all that only they told of has ended.

        A page that nobody ends stays open for ever.
        """
        rows = await lock_over(session, now_ms - int(self.policy.stale_seconds * 1000), AT_ONCE)
        for row in rows:
            row.ended_ms = now_ms
            for channel, told in await told_ring(session, _subject(row.id)):
                over = {**told, "phase": "resolved", "text": LATE_OVER.format(text=told.get("text", ""))}
                await dispatch(session, [channel], _subject(row.id), What.RESOLVE, over, now_ms=now_ms)
        return len(rows)

    async def _tell_channels(
        self,
        session: Session,
        late_id: int,
        late: Late,
        steps: Sequence[Step],
        told: set[tuple[str, Key]],
        *,
        now_ms: int,
    ) -> None:
        """One word for each summary. told: which channel has heard of what by the summary of another chat."""
        heard = {
            (one.name, late_one.incident.key)
            for late_one in steps
            for one in matching(self.channels, *late_one.incident.key[:3])
        }
        names = sorted({name for name, _ in heard - told})
        told |= heard
        if names:
            says = told_of_late(late_id, steps[0].incident.key, late, plain(late_text(late)), self.links.page_url)
            await dispatch(session, names, _subject(late_id), What.RING, says, now_ms=now_ms)

    async def _summarise(
        self, session: Session, to: Destination, steps: Sequence[Step], now_ms: int
    ) -> tuple[int, Late, bool]:
        """Add these to a chat's summary; return its id, how it is now, and whether it begins with these."""
        row = await open_summary(session, to, now_ms - int(self.policy.stale_seconds * 1000))
        summary = to_late(row)
        for one in steps:
            summary = add_late(summary, one)
        is_new = row is None
        late_id = await save_summary(session, row, to, summary, now_ms=now_ms)
        if is_new and to != NOBODY:
            put(session, Subject(LATE, late_id=late_id), to, late_text(summary), REMINDER_BUTTONS, now_ms=now_ms)
        elif to != NOBODY:
            await rewrite_late(session, late_id, late_text(summary), now_ms=now_ms)
        return late_id, summary, is_new


def _subject(late_id: int) -> str:
    return f"late:{late_id}"
