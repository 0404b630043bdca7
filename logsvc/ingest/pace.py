"""How often a table is inserted into: the lanes of one table take turns."""

import time


class Pace:
    """Turns, one in so many seconds, in the order they were asked for; a table that was idle has one at once."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._free_at = 0.0

    def turn(self) -> float:
        """Take the next turn; return when it is, on the monotonic clock."""
        at = max(time.monotonic(), self._free_at)
        self._free_at = at + self.seconds
        return at
