"""/queue NAME: one queue in full; and how every command finds the queue that was meant."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bot import texts
from bot.delivery.messages import Ask, Reply
from bot.desk import Desk
from bot.queues.numbers import Numbers
from bot.queues.state import Place, QueueState, find, handle, place, similar
from bot.render.actions import offer
from bot.render.markup import fit, name
from bot.render.queues import queue_buttons, queue_text, suggestions
from tocsin.roles import Role
from tocsin.times import current_ms


@dataclass(frozen=True)
class LookedUp:
    """The queues a person means, among those we know. is_certain: what is not found is not there."""

    said: str
    found: list[QueueState]
    numbers: Numbers

    @property
    def is_certain(self) -> bool:
        return self.numbers.is_whole

    def unknown(self, command: str) -> Reply:
        """Say that there is none, as far as we know, and offer those that may have been meant."""
        near = similar(self.numbers.queues, self.said)
        sentence = texts.NO_SUCH_QUEUE if self.is_certain else texts.QUEUE_NOT_KNOWN_YET
        lines = [sentence.format(queue=name(self.said)), *([texts.DID_YOU_MEAN] if near else [])]
        return Reply(fit(lines), suggestions(near, command))


async def look_up(said: str, desk: Desk) -> LookedUp:
    """Find a queue: among those we have seen ourselves, which takes no time, else among history's too."""
    own = desk.ledger.own()
    found = find(own.queues, said)
    if found:
        return LookedUp(said, found, own)
    numbers = await desk.ledger.queues()
    return LookedUp(said, find(numbers.queues, said), numbers)


def which_source(found: Sequence[QueueState], command: str) -> Reply:
    """Ask which of several queues of one name is meant, with a button for each."""
    return replace(which_typed(map(place, found), command), buttons=suggestions(found, command))


def which_typed(places: Iterable[Place], command: str, *more: str) -> Reply:
    """The same of a command that has no such buttons, or that would act by them. more: its further arguments."""
    typed = [
        "".join((f"/{command} {name(source)}/{name(queue)}", *(f" {name(word)}" for word in more)))
        for _, source, queue in sorted(places)
    ]
    return Reply(texts.WHICH_SOURCE.format(forms=", ".join(typed[:5])))


@dataclass
class Queue:
    """Shows every queue of that name, whatever its source."""

    name: str = "queue"
    about: str = "one queue: /queue NAME"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        if not rest:
            return Reply(texts.HOW_QUEUE)
        numbers = await desk.ledger.queues()
        looked = LookedUp(rest, find(numbers.queues, rest), numbers)
        return self._show(looked.found, numbers, desk) if looked.found else looked.unknown(self.name)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        numbers = await desk.ledger.queues()
        found = [one for one in numbers.queues if handle(one) == rest]
        if not found:
            return Reply("", notice=texts.QUEUE_GONE if numbers.is_whole else texts.NOT_KNOWN_YET)
        return self._show(found, numbers, desk)

    def _show(self, found: Sequence[QueueState], numbers: Numbers, desk: Desk) -> Reply:
        text = queue_text(found, now_ms=current_ms(), note=numbers.note)
        if len(found) > 1:
            return Reply(text, suggestions(found, self.name), notice=texts.UPDATED)
        one = found[0]
        resume = offer(texts.RESUME, "resume", handle(one)) if one.is_paused and desk.links.can_act else ()
        return Reply(text, (*queue_buttons(one), *((resume,) if resume else ())), notice=texts.UPDATED)
