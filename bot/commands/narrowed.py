"""A command about all queues, or about the one that was named."""

from collections.abc import Awaitable, Callable

from bot import texts
from bot.commands.queue import look_up, which_source
from bot.delivery.messages import Reply
from bot.desk import Desk
from bot.queues.state import QueueState, handle

Answer = Callable[[QueueState | None, Desk], Awaitable[Reply]]


async def narrow(said: str, command: str, desk: Desk, answer: Answer, *, is_handle: bool = False) -> Reply:
    """Answer for the queue meant, or ask which. is_handle: said comes from a button."""
    if not said:
        return await answer(None, desk)
    if is_handle:
        numbers = await desk.ledger.queues()
        meant = [one for one in numbers.queues if handle(one) == said]
        return await answer(meant[0], desk) if meant else Reply("", notice=texts.QUEUE_GONE)
    looked = await look_up(said, desk)
    if len(looked.found) > 1:
        return which_source(looked.found, command)
    return await answer(looked.found[0], desk) if looked.found else looked.unknown(command)
