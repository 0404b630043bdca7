"""/queue NAME: one queue in full."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bot import texts
from bot.desk import Desk
from bot.messages import Ask, Reply
from bot.numbers import Numbers
from bot.queues import QueueState, find, handle, similar
from bot.render.markup import fit, name
from bot.render.queues import queue_buttons, queue_text, suggestions


def unknown_queue(said: str, queues: Sequence[QueueState], command: str) -> Reply:
    """No such queue: offer those that may have been meant."""
    near = similar(queues, said)
    lines = [texts.NO_SUCH_QUEUE.format(queue=name(said)), *([texts.DID_YOU_MEAN] if near else [])]
    return Reply(fit(lines), suggestions(near, command))


@dataclass
class Queue:
    """Shows every queue of that name, whatever its source."""

    name: str = "queue"
    about: str = "one queue: /queue NAME"

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        if not rest:
            return Reply(texts.HOW_QUEUE)
        numbers = await desk.ledger.queues()
        found = find(numbers.queues, rest)
        return self._show(found, numbers) if found else unknown_queue(rest, numbers.queues, self.name)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        numbers = await desk.ledger.queues()
        found = [one for one in numbers.queues if handle(one) == rest]
        return self._show(found, numbers) if found else Reply("", notice=texts.QUEUE_GONE)

    def _show(self, found: Sequence[QueueState], numbers: Numbers) -> Reply:
        text = queue_text(found, now_ms=int(time.time() * 1000), note=numbers.note)
        buttons = queue_buttons(found[0]) if len(found) == 1 else suggestions(found, self.name)
        return Reply(text, buttons, notice=texts.UPDATED)
