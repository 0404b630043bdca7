"""Storms to messages: which incidents share one, what it says where, and when it makes a sound."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.delivery.channels import Channel, What, matching, subject_of_storm, told_of_storm
from bot.incidents.machine import Call, Paged, Step
from bot.incidents.storms import Member, Storm, room
from bot.metrics import Metrics
from bot.people.seal import Seal
from bot.render.alert import Links, storm_brought_text, storm_buttons, storm_grown_text, storm_nudge_text, storm_text
from bot.render.markup import plain
from bot.routing.chats import Chats
from bot.routing.routes import Destination
from bot.rules.policy import Policy
from bot.store.database import Session
from bot.store.dispatches import dispatch_round
from bot.store.models import IncidentRow
from bot.store.outbox import NUDGE, STORM, Subject, put
from bot.store.storms import (
    begin_storm,
    cards_of_storm,
    hold_open_storm,
    hold_storms,
    note_told,
    nudge_below,
    rewrite_card,
    rung_lately,
    storms,
)

Told = Sequence[tuple[IncidentRow, Step]]


@dataclass(frozen=True)
class Storming:
    """All of it inside the caller's transaction."""

    policy: Policy
    chats: Chats
    metrics: Metrics
    links: Links
    seal: Seal
    channels: Sequence[Channel]

    async def gather(self, session: Session, steps: Told, *, now_ms: int) -> None:
        """Let what rings beside too many others be told by a storm, instead of messages of its own.

        Holds every storm that show will touch: comes before any message is touched.
        """
        ringing: dict[str, list[tuple[IncidentRow, Step]]] = {}
        for row, done in steps:
            if done.call is Call.RING:
                row.rung_ms, row.storm_id = now_ms, None
            if done.call is Call.RING and row.held_ms is None:
                ringing.setdefault(done.incident.key.env, []).append((row, done))
        await session.flush()
        await hold_storms(session, {row.storm_id for row, _ in steps if row.storm_id is not None}, ringing)
        for env, several in sorted(ringing.items()):
            storm = await hold_open_storm(session, env, now_ms)
            # Those of this batch are counted too, as they are written.
            lately = await rung_lately(session, env, now_ms) - len(several)
            alone = 0 if storm else room(self.policy.storm_incidents, lately)
            worst_first = sorted(several, key=lambda one: (-one[1].incident.count, one[1].incident.key))
            for row, _ in worst_first[alone:]:
                storm = storm or await begin_storm(session, env, now_ms)
                row.storm_id, storm.joined_ms = storm.id, now_ms
        await session.flush()

    async def wake(self, session: Session, rows: Sequence[IncidentRow], *, now_ms: int) -> None:
        """What goes on beyond the worst of a night, below the digest, which has made the sound: one message an env.

        Channels hear of it as of anything that needs somebody anew: they have no digest.
        """
        of_env: dict[str, list[IncidentRow]] = {}
        for row in rows:
            of_env.setdefault(row.env, []).append(row)
        await hold_storms(session, (), of_env)
        for env, several in sorted(of_env.items()):
            storm = await hold_open_storm(session, env, now_ms) or await begin_storm(session, env, now_ms)
            storm.joined_ms = now_ms
            for row in several:
                row.storm_id = storm.id
        await session.flush()
        for storm in await storms(session, {row.storm_id for row in rows if row.storm_id is not None}):
            await self._tell_channels(session, storm, now_ms=now_ms)
            await self._show(session, storm, now_ms=now_ms, is_silent=True)
            await note_told(session, storm.id, storm.waiting_failures, now_ms=now_ms)

    async def show(self, session: Session, steps: Told, *, now_ms: int) -> None:
        """Bring the messages of the storms that tell of these up to date.

        A storm makes a sound where nothing of it waited for anybody until now; and, like any alert, when the failures
        that nobody has taken have passed a step since people heard of it last, not just now.
        """
        told = [(row.storm_id, row, done) for row, done in steps if row.storm_id is not None]
        joined = {row.id for _, row, done in told if done.call is Call.RING}
        counted = {number for number, _, done in told if done.added}
        reminded = {number for number, _, done in told if done.call is Call.REMIND}
        brought = {row.id: done.incident.paged[-1] for _, row, done in told if done.call is Call.PAGE}
        for storm in await storms(session, {number for number, _, _ in told}):
            await self._tell_channels(session, storm, now_ms=now_ms)
            has_grown = storm.id in counted and storm.has_grown(self.policy, now_ms)
            is_heard = await self._show(session, storm, joined, brought=brought, has_grown=has_grown, now_ms=now_ms)
            if is_heard or storm.id in reminded:
                await note_told(session, storm.id, storm.waiting_failures, now_ms=now_ms)
            elif storm.waiting_failures < storm.told_count:
                await note_told(session, storm.id, storm.waiting_failures, now_ms=storm.told_ms)

    async def _show(
        self,
        session: Session,
        storm: Storm,
        joined: Collection[int] = (),
        *,
        now_ms: int,
        brought: Mapping[int, Paged] | None = None,
        has_grown: bool = False,
        is_silent: bool = False,
    ) -> bool:
        """Write a storm's message wherever one of its incidents would have rung; return whether it makes a sound.

        joined: those that are new to it. brought: whom some were brought to just now.
        """
        is_heard = False
        heard: dict[tuple[int, int | None], tuple[Destination, list[Member]]] = {}
        for member in storm.members:
            for to in self.chats.hear_of(member.key, member.paged):
                heard.setdefault((to.chat_id, to.topic_id), (to, []))[1].append(member)
        for card in await cards_of_storm(session, storm.id):
            here = heard.pop((card.chat_id, card.topic_id), None)
            if here is None or card.state != "live":  # what Telegram refused for good, or has lost, comes no more
                continue
            to, members = here
            told = replace(storm, members=members)
            buttons = storm_buttons(told, self.seal)
            rewrite_card(card, storm_text(told), buttons, now_ms=now_ms)
            is_anew = told.calls_again(joined)
            if is_anew or (has_grown and told.unheeded):
                text = storm_nudge_text(told) if is_anew else storm_grown_text(told)
                await nudge_below(session, card, to, text, buttons, now_ms=now_ms)
                self.metrics.sounded.labels(NUDGE).inc()
                is_heard = True
            elif (newest := self._newly_brought(told, to, brought or {})) is not None:
                text = storm_brought_text(told, newest)
                await nudge_below(session, card, replace(to, is_silent=False), text, buttons, now_ms=now_ms)
                self.metrics.sounded.labels("escalation").inc()
        for place, members in heard.values():
            to = replace(place, is_silent=place.is_silent or is_silent)
            told = replace(storm, members=members)
            about = Subject(STORM, storm_id=storm.id)
            put(session, about, to, storm_text(told), storm_buttons(told, self.seal), now_ms=now_ms)
            is_heard = True
        return is_heard

    def _newly_brought(self, storm: Storm, to: Destination, brought: Mapping[int, Paged]) -> Paged | None:
        """Whom the first of a storm is brought to in a place; nobody where they have heard of another that waits."""

        def is_here(chat_id: int, topic_id: int | None) -> bool:
            place = self.chats.moved(Destination(chat_id, topic_id))
            return (place.chat_id, place.topic_id) == (to.chat_id, to.topic_id)

        waiting = [one.id for one in storm.members if one.is_unheeded and any(is_here(*place) for place in one.paged)]
        newly = [brought[one] for one in waiting if one in brought and is_here(*brought[one].place)]
        return newly[0] if newly and len(newly) == len(waiting) else None

    async def _tell_channels(self, session: Session, storm: Storm, *, now_ms: int) -> None:
        """One word for all of it: that it began, that nobody is waited for any more, that it is over."""
        names = sorted({one.name for member in storm.members for one in matching(self.channels, *member.key[:3])})
        if not names:
            return
        what = What.RESOLVE if storm.is_over else What.RING if storm.unheeded else What.ACK
        told = told_of_storm(storm, plain(storm_text(storm)), self.links.page_url)
        await dispatch_round(session, names, subject_of_storm(storm.id), what, told, now_ms=now_ms)
