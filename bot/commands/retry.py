"""/retry: the failed jobs of an incident or a queue, or some of them; and the button of an alert."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot import texts
from bot.actions.acting import Wish
from bot.commands.go import find_one, propose
from bot.commands.job import MOST_WORDS
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.incidents.machine import Incident
from bot.queues.state import QueueState, find
from bot.render.alert import is_retriable, kind
from bot.render.markup import plain
from bot.store.database import Session
from bot.store.incidents import find_incident
from bot.store.sent import told_ms
from tocsin.breakers import Unavailable
from tocsin.roles import Role
from tocsin.times import current_ms

EARLIER_MS = 60_000
"""BullMQ dates a failure by its worker's clock, which may be behind the one of Redis that incidents go by."""
_NUMBER = re.compile(r"#?(\d{1,18})")


@dataclass
class Retry:
    """A button's data: `incident:episode`, or `again:action`."""

    name: str = "retry"
    about: str = "run failed jobs again: /retry NUMBER or QUEUE [IDS]"
    needs: Role = Role.OPERATOR

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        try:
            if not rest and ask.reply_to is not None:
                about = await desk.handling.about(ask.chat_id, ask.reply_to)
                rest = "" if about is None else str(about)
            if not rest:
                return Reply(texts.HOW_RETRY)
            if number := _NUMBER.fullmatch(rest):
                return await self._incident(int(number[1]), ask, desk)
        except Unavailable:
            return Reply(texts.POSTGRES_AWAY)
        wish = await jobs_wish(self.name, rest, desk)
        return wish if isinstance(wish, Reply) else await propose(wish, ask, desk)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        first, _, second = rest.partition(":")
        if first != "again":
            return await self._incident(int(first), ask, desk, episode=int(second or 0))
        found = await desk.acting.failed_again(int(second))
        if found is None or not found[1]:
            return Reply("", notice=texts.OLD_BUTTON, is_alert=True)
        action, job_ids = found
        wanted = {"job_ids": job_ids}
        wish = Wish(self.name, action.env, action.source, action.queue, wanted, action.incident_id, action.kind)
        return await propose(wish, ask, desk)

    async def _incident(self, number: int, ask: Ask, desk: Desk, *, episode: int | None = None) -> Reply:
        """episode: of whose message the button is; what failed in it is asked for too, if it came again since."""
        async with desk.database.transaction(timeout=2) as session:
            incident = await find_incident(session, number)
            if incident is not None and episode is not None:
                incident = await since(session, number, incident, episode)
        if incident is None:
            text = texts.NO_SUCH_INCIDENT.format(number=number)
            return Reply(text, notice=text, is_alert=True, is_new=True)
        if not is_retriable(incident):
            text = texts.NOT_RETRIABLE.format(number=number)
            return Reply(text, notice=text, is_alert=True, is_new=True)
        return await propose(incident_wish(number, incident), ask, desk)


async def since(session: Session, number: int, incident: Incident, episode: int) -> Incident:
    """The incident as if it had begun with an earlier episode, by the same clock as it is; as it is if that is gone."""
    then_ms, now_ms = [await told_ms(session, number, one) for one in (episode, incident.episode)]
    if then_ms is None or now_ms is None:
        return incident
    return replace(incident, first_ms=incident.first_ms - max(0, now_ms - then_ms))


def incident_wish(number: int, incident: Incident) -> Wish:
    """Retry what failed this way since the episode began, up to now."""
    key = incident.key
    wanted = {
        "filter": {
            "fingerprint": key.fingerprint,
            "from": max(0, incident.first_ms - EARLIER_MS),
            "to": current_ms(),
        }
    }
    return Wish("retry", key.env, key.source, key.queue, wanted, number, plain(kind(incident)))


async def jobs_wish(action: str, rest: str, desk: Desk) -> Wish | Reply:
    """Read `QUEUE` or `QUEUE ID ID …`; job ids are divided by spaces or commas."""
    found = await find_one(rest, action, desk)
    if not isinstance(found, Reply):
        return _whole(action, found)
    meant, words = _leading_queue(rest, desk.ledger.own().queues)
    if meant is None:
        meant, words = _leading_queue(rest, (await desk.ledger.queues()).queues)
    if meant is None:
        return found
    ids = [one for one in re.split(r"[\s,]+", words) if one]
    return Wish(action, meant.env, meant.source, meant.queue, {"job_ids": ids})


def _leading_queue(rest: str, queues: Sequence[QueueState]) -> tuple[QueueState | None, str]:
    """The one queue that the first words name, the longest name before others; and what follows it."""
    words = rest.split(" ")
    for cut in range(min(len(words) - 1, MOST_WORDS), 0, -1):
        meant = find(queues, " ".join(words[:cut]))
        if len(meant) == 1:
            return meant[0], " ".join(words[cut:])
    return None, ""


def _whole(action: str, one: QueueState) -> Wish | Reply:
    if action != "retry":
        return Reply(texts.HOW_PROMOTE)
    return Wish(action, one.env, one.source, one.queue, {"filter": {"to": current_ms()}})
