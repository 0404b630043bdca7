"""How much the readers of all queues of a process may remember together, beside the open jobs (open_jobs.py). Pure.

A queue says after each reading how much it holds. While all together hold too much there is a level, and a queue above
it forgets its oldest, down to it: those that hold most give, and one that holds little never does.
"""

MOST_BYTES = 128 * 1024 * 1024
JOB_BYTES, PLACE_BYTES, ENTRY_BYTES = 360, 345, 86
"""Of a job in a queue's memory, a place in a log, an entry known to have been passed: as measured."""

AIM = 0.9
"""Of what may be held: beyond it there is a level. Those above it come down to it once they are read again."""

STEP = 0.02
"""Of what may be held: once so much was added the level is found anew."""


class Budget:
    """Shared by all lanes of a process. A holder is known by its memory (memory.py)."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._held: dict[object, int] = {}
        self._total = 0
        self._level = most
        self._added = most

    def hold(self, holder: object, held: int) -> int:
        """It holds so many bytes now; return how many it may."""
        more = held - self._held.get(holder, 0)
        self._held[holder] = held
        self._total += more
        self._added += max(0, more)
        if self._total <= AIM * self._most:
            return held
        if self._added >= STEP * self._most:
            self._level = self._find_level()
            self._added = 0
        return self._level

    def leave(self, holder: object) -> None:
        """It is no more."""
        self._total -= self._held.pop(holder, 0)

    def _find_level(self) -> int:
        """The most that each may hold so that all together come to the aim."""
        left, holders = int(AIM * self._most), len(self._held)
        for held in sorted(self._held.values()):
            if held * holders >= left:
                break
            left -= held
            holders -= 1
        return left // max(1, holders)
