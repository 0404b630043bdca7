"""How much of a queue's event stream may still be added before BullMQ trims what was not read yet: pure.

BullMQ keeps about `maxLenEvents` entries. It trims by nodes of a hundred, so a little more than that survives and what
is said here errs on the safe side. Nothing is asked of Redis for it but that bound: each exact read tells the rest.
"""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

DEFAULT_MAX_LEN = 10_000
RATE_SECONDS = 60.0
LEAST_SECONDS = 30.0
"""A window that holds less at the present rate is too small: a restart alone takes some of it."""

LEAST_LEFT = 1 / 3
ADVISED_SECONDS = 600.0
LEAST_ADVISED, MOST_ADVISED = 10_000, 1_000_000
"""A million entries are some 50 MB of the app's Redis with small values."""

SILENT_SECONDS = 20.0
"""A lane that reads at all reads each stream more often: nobody reads one that was not read for so long."""

TELL_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Small:
    """A window too small, or nearly used up. rate: events a second. seconds: what it holds at that rate."""

    max_len: int
    rate: float
    seconds: float
    left: float
    mend: str


class Window:
    """One queue's. It outlives the writer: while nothing can be read, what is left shrinks at the rate known.

    max_len: `opts.maxLenEvents` of the queue's meta.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.max_len = DEFAULT_MAX_LEN
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()
        self._read_at = 0.0
        self._unread: float = math.nan
        self._told: dict[str, float] = {}

    def see(self, *, added: int, length: int, passed: int, is_history: bool) -> None:
        """Take in one exact read: entries ever added, those still there, and those passed before it.

        is_history: what is unread was there before Tocsin; that it is trimmed is no loss.
        """
        now = self._clock()
        unread = 0 if is_history else max(0, added - passed)
        self._unread = math.inf if unread > length else unread
        self._read_at = now
        if self._samples and added < self._samples[-1][1]:
            self._samples.clear()  # another stream
        if not self._samples or now - self._samples[-1][0] >= 1 or len(self._samples) == 1:
            self._samples.append((now, added))
        else:
            self._samples[-1] = (self._samples[-1][0], added)
        while len(self._samples) > 2 and now - self._samples[1][0] >= RATE_SECONDS:
            self._samples.popleft()

    def rate(self) -> float:
        """Events a second over the last minute."""
        if len(self._samples) < 2:
            return 0.0
        first, last = self._samples[0], self._samples[-1]
        return (last[1] - first[1]) / max(RATE_SECONDS, self._read_at - first[0])

    def left(self) -> float:
        """1 = all was read; 0 = entries are being lost; NaN = Redis does not tell."""
        silent = self._clock() - self._read_at
        grown = self.rate() * silent if silent > SILENT_SECONDS else 0.0
        return max(0.0, 1 - (self._unread + grown) / max(1, self.max_len)) if self._unread >= 0 else math.nan

    def seconds(self) -> float:
        """How long the whole window lasts at the present rate; NaN = Redis does not tell."""
        if math.isnan(self._unread):
            return math.nan
        rate = self.rate()
        return self.max_len / rate if rate > 0 else math.inf

    def small(self) -> Small | None:
        """What to warn of now; of each advice at most once an hour."""
        rate, seconds, left = self.rate(), self.seconds(), self.left()
        is_small = seconds < LEAST_SECONDS or left < LEAST_LEFT
        if not is_small:
            return None
        mend = _mend(self.max_len, rate)
        if self._clock() - self._told.get(mend, -math.inf) < TELL_SECONDS:
            return None
        self._told[mend] = self._clock()
        return Small(self.max_len, rate, seconds, left, mend)


def advised(rate: float) -> int:
    """A bound that holds ADVISED_SECONDS at this rate, rounded up to 1, 2 or 5 and noughts."""
    wanted = min(MOST_ADVISED, max(LEAST_ADVISED, rate * ADVISED_SECONDS))
    ten = 10 ** math.floor(math.log10(wanted))
    return next(step * ten for step in (1, 2, 5, 10) if step * ten >= wanted)


def _mend(max_len: int, rate: float) -> str:
    length = advised(rate)
    if length <= max_len:
        return "the window is long enough, the bridge is behind: look at bridge_relay_lag_seconds and at Kafka"
    return (
        f"pass streams: {{ events: {{ maxLen: {length} }} }} to EVERY new Queue(...) of the app: "
        "one Queue object without it sets the queue back to 10000"
    )
