"""/test [QUEUE]: a marked alert to every chat that an alert of the queue would ring, and how long it took."""

from dataclasses import dataclass

from bot import texts
from bot.commands.narrowed import narrow
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.incidents.failures import Key, key_part
from bot.incidents.trial import FINGERPRINT, NOWHERE, ring
from bot.queues.state import QueueState
from bot.render.trial import trial_text
from bot.store import audit
from bot.store.audit import Actor
from tocsin.breakers import Unavailable
from tocsin.roles import Role

SECONDS = 8.0


@dataclass
class TrialCommand:
    """Without a queue: every chat there is."""

    name: str = "test"
    about: str = "send a test alert: /test [QUEUE]"
    needs: Role = Role.OPERATOR

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        async def test(one: QueueState | None, _page: int, desk: Desk) -> Reply:
            parts = None if one is None else (key_part(part) for part in (one.env, one.source, one.queue, FINGERPRINT))
            return await _test(ask, Key(*parts) if parts else NOWHERE, desk)

        return await narrow(rest, self.name, desk, test)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        async def test(one: QueueState | None, _page: int, desk: Desk) -> Reply:
            return await self.answer(ask, f"{one.source}/{one.queue}" if one else "", desk)

        return await narrow(rest, self.name, desk, test, is_handle=True)


async def _test(ask: Ask, key: Key, desk: Desk) -> Reply:
    try:
        trial = await ring(desk.database, desk.handling.alerts, desk.chats, key, ask.user_name, seconds=SECONDS)
        async with desk.database.transaction(timeout=2) as session:
            actor = Actor(str(ask.user_id), ask.user_name, ask.role or "")
            outcome = "delivered" if trial.is_delivered else "not delivered everywhere"
            await audit.note(session, actor, "test", f"#{trial.number}", outcome)
    except Unavailable:
        return Reply(texts.POSTGRES_AWAY)
    return Reply(trial_text(trial))
