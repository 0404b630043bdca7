"""Whose turn it is to be asked for its counts and schedulers: pure.

What moved since it was asked is asked each time. The others are asked in rounds, so that thousands of quiet queues cost
their Redis no more a second than some hundreds do.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

QUIET_A_SECOND = 200
"""Quiet queues asked a second, all replicas together: 10,000 of them are asked every 50 s."""

Clock = Callable[[], float]


@dataclass(slots=True)
class _Asked:
    """When a queue was asked last, and what its newest event was then."""

    at: float
    last_ts: int


class Rounds:
    """The rounds of some queues. every_seconds: how often a queue is asked at most. clock: monotonic seconds."""

    def __init__(self, every_seconds: float, clock: Clock, dice: random.Random) -> None:
        self._every_seconds = every_seconds
        self._clock = clock
        self._dice = dice
        self._asked: dict[str, _Asked] = {}

    def due(self, queues: Mapping[str, int], known: int) -> list[str]:
        """Those to ask now, which counts as asked. queues: the time of each one's newest event, ms. known: in all."""
        now = self._clock()
        round_seconds = max(self._every_seconds * 0.9, known / QUIET_A_SECOND)
        self._asked = {queue: asked for queue, asked in self._asked.items() if queue in queues}
        due: list[str] = []
        for queue, last_ts in queues.items():
            asked = self._asked.get(queue)
            if asked is not None and asked.last_ts == last_ts and now - asked.at < round_seconds:
                continue
            due.append(queue)
            # The first round is spread over the time of one: else they would all be due together ever after.
            early = self._dice.uniform(0, round_seconds - self._every_seconds * 0.9) if asked is None else 0.0
            self._asked[queue] = _Asked(now - early, last_ts)
        return due

    def ask_again(self, queues: Iterable[str]) -> None:
        """They gave no answer."""
        for queue in queues:
            self._asked.pop(queue, None)
