"""/job [source/]queue id: one job with every attempt's own error."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot import texts
from bot.commands.queue import LookedUp, which_typed
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.logsvc import NotFound, Refused
from bot.queues.numbers import why
from bot.queues.state import QueueState, find, handle, place
from bot.render.jobs import job_buttons, job_text
from bot.render.markup import name
from tocsin.breakers import Unavailable
from tocsin.roles import Role
from tocsin.times import current_ms

MOST_WORDS = 32
"""Of a queue's name. What people type may have thousands, and each way to divide it is looked at."""


def split(rest: str, queues: Sequence[QueueState]) -> tuple[list[QueueState], str, str]:
    """Divide what was typed into queue and job id; both may hold spaces, so known queues decide.

    Returns the queues meant, the queue as typed, the job id.
    """
    words = rest.split(" ")
    for cut in range(min(len(words) - 1, MOST_WORDS), 0, -1):
        said, job_id = " ".join(words[:cut]).strip(), " ".join(words[cut:]).strip()
        found = find(queues, said) if job_id else []
        if found:
            return found, said, job_id
    said, _, job_id = rest.rpartition(" ")
    return [], said.strip(), job_id


@dataclass
class Job:
    """Asks history; there is no other place that remembers single jobs."""

    name: str = "job"
    about: str = "one job: /job QUEUE ID"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        numbers = desk.ledger.own()
        found, said, job_id = split(rest, numbers.queues)
        if not said or not job_id:
            return Reply(texts.HOW_JOB)
        if not found:
            numbers = await desk.ledger.queues()
            found, said, job_id = split(rest, numbers.queues)
        if len(found) > 1:
            return which_typed(map(place, found), self.name, job_id)
        if found:
            return await self._of(found[0], job_id, ask, desk)
        source, slash, queue = said.partition("/")
        if slash and not numbers.is_whole:
            return (await self._show(source, queue, job_id, desk))[0]
        return LookedUp(said, found, numbers).unknown("queue")

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        which, _, job_id = rest.partition(":")
        numbers = desk.ledger.own()
        if all(handle(one) != which for one in numbers.queues):
            numbers = await desk.ledger.queues()
        for one in numbers.queues:
            if handle(one) == which:
                return await self._of(one, job_id, ask, desk)
        return Reply("", notice=texts.QUEUE_GONE if numbers.is_whole else texts.NOT_KNOWN_YET)

    async def _of(self, one: QueueState, job_id: str, ask: Ask, desk: Desk) -> Reply:
        """A job of a queue we know, with what may be done about it."""
        shows_data = desk.chats.shows_data(ask.chat_id, ask.topic_id, one.env, one.source, one.queue)
        reply, state = await self._show(one.source, one.queue, job_id, desk, shows_data=shows_data)
        buttons = job_buttons(handle(one), job_id, state, can_act=desk.links.can_act)
        return replace(reply, buttons=buttons, notice=texts.UPDATED)

    async def _show(
        self, source: str, queue: str, job_id: str, desk: Desk, *, shows_data: bool = False
    ) -> tuple[Reply, str]:
        """The job, and its state; empty = not known now."""
        try:
            job = await desk.history.job(source, queue, job_id)
        except NotFound:
            return Reply(texts.NO_SUCH_JOB.format(job=name(job_id), queue=name(f"{source}/{queue}", 100))), ""
        except (Unavailable, Refused) as failure:
            return Reply(f"{why(failure)} {texts.NO_JOB_NOW}"), ""
        now_ms = current_ms()
        text = job_text(job, queue=queue, job_id=job_id, now_ms=now_ms, shows_data=shows_data)
        return Reply(text), str(job.get("state") or "")
