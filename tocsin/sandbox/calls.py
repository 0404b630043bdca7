"""The log of Bot API calls: what the bot asked, when, and how it ended. It never holds the token or a text."""

import itertools
from collections import deque

from msgspec import Struct

KEPT_CALLS = 10_000


class Call(Struct, omit_defaults=True):
    """One call. outcome: `ok`, `refused` (see code), `lost` (carried out, answer dropped), `cut` (dropped before it
    was carried out), `gone` (the caller hung up first)."""

    number: int
    at: float
    method: str
    outcome: str
    code: int
    seconds: float
    chat_id: int | None = None
    message_thread_id: int | None = None
    message_id: int | None = None
    is_silent: bool = False
    description: str | None = None


class CallLog:
    """The newest calls. Numbers go on when old ones are forgotten, so a reader sees that some are missing."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=KEPT_CALLS)
        self._numbers = itertools.count(1)

    def add(self, call: Call) -> None:
        """Keep a finished call; its number is set here, by the order of ending."""
        call.number = next(self._numbers)
        self._calls.append(call)

    def items(self, *, method: str | None = None, chat_id: int | None = None, after: int = 0) -> list[Call]:
        """Calls in the order they ended, narrowed by method, chat, and to numbers above `after`."""
        return [
            call
            for call in self._calls
            if call.number > after
            and (method is None or call.method.lower() == method.lower())
            and (chat_id is None or call.chat_id == chat_id)
        ]
