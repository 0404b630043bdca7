"""/schedulers [queue]: job schedulers, the overdue first."""

from dataclasses import dataclass

from bot import texts
from bot.commands.narrowed import narrow
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.logsvc import Refused
from bot.queues.numbers import why
from bot.queues.state import QueueState, handle
from bot.render.groups import TOP, own_schedulers_text, schedulers_text
from bot.render.pages import cut, page_buttons
from tocsin.breakers import Unavailable
from tocsin.roles import Role
from tocsin.times import current_ms

AT_MOST = 1000


@dataclass
class SchedulersCommand:
    """Asks history; while that is away, or there are more than it tells at once, tells what the bot itself has read."""

    name: str = "schedulers"
    about: str = "what runs when: /schedulers [QUEUE]"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return await narrow(rest, self.name, desk, self._list)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        return await narrow(rest, self.name, desk, self._list, is_handle=True)

    async def _list(self, one: QueueState | None, page: int, desk: Desk) -> Reply:
        data = f"{self.name}:{handle(one) if one else ''}"
        try:
            found = await desk.history.schedulers(one.source if one else "", one.queue if one else "", AT_MOST)
        except (Unavailable, Refused) as failure:
            return self._own(one, page, data, why(failure), desk)
        if found.has_more:  # by name: the overdue may be among the others
            return self._own(one, page, data, texts.TOO_MANY_SCHEDULES, desk)
        text = schedulers_text(found.items, page=page, as_of=found.as_of, now_ms=current_ms())
        _, has_more = cut(found.items, page, TOP)
        return Reply(text, (page_buttons(data, page, has_more=has_more),), notice=texts.UPDATED)

    def _own(self, queue: QueueState | None, page: int, data: str, note: str, desk: Desk) -> Reply:
        rows = [
            one
            for one in desk.schedules.rows.values()
            if queue is None or (one.source, one.queue) == (queue.source, queue.queue)
        ]
        text = own_schedulers_text(
            rows,
            note=note,
            read_seconds_ago=desk.pulse.seconds_since(desk.schedules.read_at),
            now_ms=current_ms(),
            page=page,
        )
        _, has_more = cut(rows, page, TOP)
        return Reply(text, (page_buttons(data, page, has_more=has_more),), notice=note)
