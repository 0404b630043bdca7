"""What is known of getUpdates, by the monotonic clock: pure."""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

MOST_UPDATES = 100
"""In one answer; there may be more then. Source: core.telegram.org/bots/api#getupdates, limit."""
MOST_ANSWERS = 100
"""Whose updates may be waiting for their turn here."""


@dataclass
class Polling:
    """What is known of getUpdates. Times by the monotonic clock. answered: called at every good answer.

    drained_at: when Telegram had nothing left that it had not given us; None = not known.
    """

    answered: Callable[[], None]
    answered_at: float | None = None
    conflict_at: float | None = None
    problem: str = ""
    drained_at: float | None = None
    _given: deque[tuple[int, float | None]] = field(default_factory=lambda: deque(maxlen=MOST_ANSWERS))
    """The last update of each answer, and drained_at before it: none of it is older."""

    def give(self, update_ids: Sequence[int], asked_at: float) -> None:
        """Telegram gave these when it was asked then."""
        if update_ids:
            self._given.append((max(update_ids), self.drained_at))
        if len(update_ids) < MOST_UPDATES:
            self.drained_at = asked_at

    def age_at_most(self, update_id: int) -> float:
        """For how many seconds an update may have waited at Telegram; infinite if nobody knows."""
        since = next((since for last, since in self._given if update_id <= last), None)
        return math.inf if since is None else time.monotonic() - since
