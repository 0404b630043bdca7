"""Flood limits: how many messages a chat takes in a stretch of time before Telegram says 429.

Telegram publishes no numbers; its FAQ says to stay under one message a second in a chat, 20 a minute in a group and
about 30 a second overall, short bursts tolerated (https://core.telegram.org/bots/faq#my-bot-is-hitting-limits). The
defaults say the same as windows: what was accepted in the last N seconds counts.
"""

import math
from collections import deque
from collections.abc import Hashable

from msgspec import Struct

from tocsin.sandbox.errors import too_many_requests


class Window(Struct, frozen=True):
    """At most `count` messages within `seconds`. count 0 = no limit."""

    count: int
    seconds: float

    @classmethod
    def parse(cls, text: str) -> "Window":
        """Read `20/60` (20 in 60 seconds) or `off`; raise ValueError otherwise."""
        if text == "off":
            return cls(0, 1)
        count, _, seconds = text.partition("/")
        window = cls(int(count), float(seconds or 1))
        if window.count < 1 or window.seconds <= 0:
            raise ValueError(f"{text!r} is no limit: write COUNT/SECONDS, such as 20/60, or off")
        return window


class FloodLimits(Struct, frozen=True):
    """The windows of a private chat, of a group, and of the bot as a whole."""

    private: Window = Window(30, 30)
    group: Window = Window(20, 60)
    overall: Window = Window(30, 1)


class FloodControl:
    """Counts what was accepted. Times are seconds of any monotonic clock."""

    def __init__(self, limits: FloodLimits) -> None:
        self.limits = limits
        self._accepted: dict[Hashable, deque[float]] = {}

    def take(self, chat_id: int, now: float) -> None:
        """Count one message to this chat, or raise ApiError 429 with the seconds to wait, uncounted."""
        places = [
            (chat_id, self.limits.private if chat_id > 0 else self.limits.group),
            ("overall", self.limits.overall),
        ]
        waits = [self._wait(place, window, now) for place, window in places]
        if max(waits) > 0:
            raise too_many_requests(max(1, math.ceil(max(waits))))
        for place, window in places:
            if window.count:
                self._accepted.setdefault(place, deque()).append(now)

    def _wait(self, place: Hashable, window: Window, now: float) -> float:
        accepted = self._accepted.get(place, deque[float]())
        while accepted and accepted[0] <= now - window.seconds:
            accepted.popleft()
        if not window.count or len(accepted) < window.count:
            return 0.0
        return accepted[-window.count] + window.seconds - now
