"""Holds back what a library repeats: aiokafka says some 200 lines a second for as long as Kafka is away."""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

MOST_KINDS = 500
"""Kinds of lines remembered; beyond that all are forgotten, which lets some lines through early."""


class _Kind(NamedTuple):
    logger: str
    level: int
    template: str


class RateLimit(logging.Filter):
    """Lets each kind of line of a logger, and of those below it, through once in `seconds`.

    A kind is a logger, a level and a text before its arguments are filled in. The next line of a kind says as
    `held_back` how many were not written since the last one.
    """

    def __init__(self, name: str, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(name)
        self._seconds = seconds
        self._clock = clock
        self._written: dict[_Kind, float] = {}
        self._held_back: dict[_Kind, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not super().filter(record):
            return True
        kind = _Kind(record.name, record.levelno, str(record.msg))
        now = self._clock()
        last = self._written.get(kind)
        if last is not None and now - last < self._seconds:
            self._held_back[kind] = self._held_back.get(kind, 0) + 1
            return False
        if len(self._written) >= MOST_KINDS:
            self._written.clear()
            self._held_back.clear()
        self._written[kind] = now
        if held_back := self._held_back.pop(kind, 0):
            record.held_back = held_back
        return True
