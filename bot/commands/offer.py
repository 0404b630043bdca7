"""The buttons of an answer that lead to a question: retry, promote, resume. Confirming it does it."""

from dataclasses import dataclass
from typing import Any

from bot import texts
from bot.actions.acting import Wish
from bot.commands.go import propose
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.queues.state import handle
from bot.render.actions import OFFERS
from tocsin.roles import Role
from tocsin.times import current_ms


@dataclass
class Offer:
    """A button's data: a letter, the queue's handle, and a job's id, or none for all of a queue.

    It needs no seal: it does what an operator may type, and counts anew however old it is.
    """

    name: str = "do"
    needs: Role = Role.OPERATOR

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        letter, _, about = rest.partition(":")
        which, _, job_id = about.partition(":")
        action = OFFERS.get(letter)
        if action is None:
            return Reply("", notice=texts.OLD_BUTTON)
        numbers = desk.ledger.own()
        if all(handle(one) != which for one in numbers.queues):
            numbers = await desk.ledger.queues()
        found = [one for one in numbers.queues if handle(one) == which]
        if not found:
            return Reply("", notice=texts.QUEUE_GONE if numbers.is_whole else texts.NOT_KNOWN_YET, is_alert=True)
        one = found[0]
        return await propose(Wish(action, one.env, one.source, one.queue, _wanted(action, job_id)), ask, desk)


def _wanted(action: str, job_id: str) -> dict[str, Any]:
    if job_id:
        return {"job_ids": [job_id]}
    return {"filter": {"to": current_ms()}} if action == "retry" else {}
