"""Up to when everything is stored, whichever replica stores it: where Kafka's partitions ended then, against how far
they are stored now."""

from collections import deque
from collections.abc import Mapping

from logsvc.partitions import Place

MOST_MOMENTS = 1_000
"""Then every second one is forgotten: what is said goes forward in larger steps, and stays true."""


class Completeness:
    """Remembers where the partitions ended at moments of the past, until all of that is stored.

    What it says never goes back: what was stored at one time stays so, whoever the partition belongs to.
    """

    def __init__(self) -> None:
        self.as_of_ms: int | None = None
        """What had reached Kafka by then is stored, of every partition; None = not known yet."""
        self.asked_at_ms = 0
        """When it was last asked where the partitions end."""
        self._moments: deque[tuple[int, Mapping[Place, int]]] = deque()
        self._ends: Mapping[Place, int] = {}

    def learn(self, stored: Mapping[Place, int], at_ms: int, ends: Mapping[Place, int]) -> None:
        """Take what was asked in this order: the offsets stored, the time, the partitions' ends (not included).

        stored: offsets before which all is stored; a partition of which that is not known is left out. A partition that
        ends earlier than it did, or than it is stored, is another one or has just been given to another broker: then
        all that was remembered means nothing.
        """
        is_cut = any(end < max(self._ends.get(place, 0), stored.get(place, 0)) for place, end in ends.items())
        if is_cut:
            self._moments.clear()
        elif ends:
            if self._moments and self._moments[-1][1] == ends:
                self._moments.pop()
            self._moments.append((at_ms, ends))
        self._ends, self.asked_at_ms = ends, at_ms
        while self._moments and all(stored.get(place, 0) >= end for place, end in self._moments[0][1].items()):
            self.as_of_ms = max(self.as_of_ms or 0, self._moments.popleft()[0])
        if len(self._moments) > MOST_MOMENTS:
            self._moments = deque(list(self._moments)[::2])
