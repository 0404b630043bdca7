"""A command about all queues, or about the one that was named, a page at a time."""

from collections.abc import Awaitable, Callable

from bot import texts
from bot.commands.queue import look_up, which_source
from bot.delivery.messages import Reply
from bot.desk import Desk
from bot.queues.state import QueueState, handle
from bot.render.pages import page_of

Answer = Callable[[QueueState | None, int, Desk], Awaitable[Reply]]
"""Of one queue or of all; the page; the desk."""


async def narrow(said: str, command: str, desk: Desk, answer: Answer, *, is_handle: bool = False) -> Reply:
    """Answer for the queue meant, or ask which. is_handle: said comes from a button, `HANDLE:PAGE`."""
    which, _, page = said.partition(":") if is_handle else (said, "", "")
    if not which:
        return await answer(None, page_of(page), desk)
    if is_handle:
        numbers = await desk.ledger.queues()
        meant = [one for one in numbers.queues if handle(one) == which]
        if not meant:
            return Reply("", notice=texts.QUEUE_GONE if numbers.is_whole else texts.NOT_KNOWN_YET)
        return await answer(meant[0], page_of(page), desk)
    looked = await look_up(said, desk)
    if len(looked.found) > 1:
        return which_source(looked.found, command)
    return await answer(looked.found[0], 0, desk) if looked.found else looked.unknown(command)
