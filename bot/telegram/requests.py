"""Calls to the Bot API: each ends, none ends the poll, and those of getUpdates are noted."""

import asyncio
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import msgspec
from telegram import error
from telegram.request import HTTPXRequest

from bot.telegram.polling import Polling

CALL_SECONDS = 5.0
SPARE_SECONDS = 5.0
"""How much longer than its longest silence a whole call may take: each byte begins the library's own wait anew."""


class _Given(msgspec.Struct):
    update_id: int


class _GivenUpdates(msgspec.Struct):
    result: list[_Given]


class Bounded(HTTPXRequest):
    """Ends each call, however slowly its answer drips, and lets no answer be the last.

    The library takes 401 and 404 as the word that our token is none, and ends its poll for good. It may as well be a
    proxy that restarts, or a token that comes back: it goes on with its pauses, as after any other failure.
    """

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        silence = kwargs.get("read_timeout")
        whole = (silence if isinstance(silence, int | float) else CALL_SECONDS) + SPARE_SECONDS
        try:
            async with asyncio.timeout(whole):
                status, body = await super().do_request(*args, **kwargs)
        except TimeoutError as late:
            raise error.TimedOut(f"the call took more than {whole:g} s") from late
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND):
            raise error.NetworkError(f"{status}: our token is not known there")
        return status, body


class Watched(Bounded):
    """Notes when getUpdates was answered: python-telegram-bot reports failures only."""

    def __init__(self, polling: Polling, **options: Any) -> None:
        super().__init__(**options)
        self._polling = polling

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        asked_at = time.monotonic()
        status, body = await super().do_request(*args, **kwargs)
        if status == 200:
            with suppress(msgspec.MsgspecError):  # the library says what is wrong with it
                given = msgspec.json.decode(body, type=_GivenUpdates).result
                self._polling.give([one.update_id for one in given], asked_at)
            self._polling.answered_at = time.monotonic()
            self._polling.problem = ""
            self._polling.answered()
        return status, body
