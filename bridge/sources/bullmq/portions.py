"""How many things to ask Redis for at once, when nobody knows how big they are before they are here: pure.

Small at first, and after small answers at most twice what the last one brought; after big ones fewer at once, and for
a while after the biggest. What may arrive then follows the sizes seen, not the number of things.
"""

from collections.abc import Collection

CAREFUL = 8
"""While the biggest thing seen is remembered, so many times the wanted bytes may come if all were like it."""


class Portion:
    """The next number to ask for: `count`. wanted_bytes: what one answer should bring."""

    def __init__(self, *, first: int, most: int, wanted_bytes: int, least: int = 1) -> None:
        self.count = first
        self._first = first
        self._most = most
        self._least = least
        self._wanted_bytes = wanted_bytes
        self._biggest = 0

    @property
    def biggest(self) -> int:
        """Bytes of the biggest thing seen, less and less as that is longer ago."""
        return self._biggest

    @property
    def may_bring(self) -> int:
        """Bytes of the next answer if everything in it were as big."""
        return self.count * self._biggest

    def learn(self, sizes: Collection[int]) -> None:
        """Take in the bytes of each thing that one answer brought; nothing says nothing."""
        if not sizes:
            return
        self._biggest = max(1, self._biggest * 3 // 4, *sizes)
        fitting = self._wanted_bytes * len(sizes) // max(1, sum(sizes))
        careful = CAREFUL * self._wanted_bytes // self._biggest
        self._set(min(max(self._first, 2 * len(sizes)), fitting, careful))

    def expect(self, size: int) -> None:
        """The next thing is so big: those behind it may be too."""
        self._biggest = max(self._biggest, size)
        self._set(min(self.count, self._wanted_bytes // max(1, size)))

    def shrink(self) -> None:
        """No answer in time: it may have been too much."""
        self._set(self.count // 4)

    def _set(self, count: int) -> None:
        self.count = max(self._least, min(self._most, count))
