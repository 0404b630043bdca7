"""/logs [source/]queue [job id] [words]: the newest log lines, where this chat may show them."""

from dataclasses import dataclass

from bot import texts
from bot.commands.job import split
from bot.commands.queue import LookedUp, which_typed
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.logsvc import Refused
from bot.queues.numbers import why
from bot.queues.state import QueueState, find, place
from bot.render.jobs import logs_text
from tocsin.breakers import Unavailable
from tocsin.roles import Role
from tocsin.times import current_ms

AT_MOST = 20
WORDS = "?"


@dataclass
class Logs:
    """Lines may hold anything an app wrote: a chat sees them only once an admin has said so there."""

    name: str = "logs"
    about: str = "newest log lines: /logs QUEUE [ID] [?WORDS]"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        said, _, words = rest.partition(WORDS)
        said = said.strip()
        if not said:
            return Reply(texts.HOW_LOGS)
        numbers = desk.ledger.own()
        found, job_id = _meant(said, numbers.queues)
        if not found:
            numbers = await desk.ledger.queues()
            found, job_id = _meant(said, numbers.queues)
        if len(found) > 1:
            return which_typed(map(place, found), self.name, job_id)
        if not found:
            return LookedUp(said, found, numbers).unknown("queue")
        one = found[0]
        if not desk.chats.shows_data(ask.chat_id, ask.topic_id, one.env, one.source, one.queue):
            return Reply(texts.NO_LINES_HERE)
        return await self._show(one, job_id, words.strip()[:200], desk)

    async def _show(self, one: QueueState, job_id: str, words: str, desk: Desk) -> Reply:
        try:
            page = await desk.history.log_lines(one.source, one.queue, job_id, words, AT_MOST)
        except (Unavailable, Refused) as failure:
            return Reply(f"{why(failure)} {texts.NO_LINES_NOW}")
        about = f"{one.source}/{one.queue}" + (f" · {texts.JOB} {job_id}" if job_id else "")
        return Reply(logs_text(page.items, about=about, as_of=page.as_of, now_ms=current_ms()))


def _meant(said: str, queues: list[QueueState]) -> tuple[list[QueueState], str]:
    """The queues, and the job's id if one was named: both may hold spaces, so known queues decide."""
    whole = find(queues, said)
    if whole:
        return whole, ""
    found, _, job_id = split(said, queues)
    return found, job_id
