"""How often somebody may be wrong: failed logins and tokens, counted per address and all together.

A login under way counts as a failure until it has ended: no more may be asked at once than may be wrong.

An IPv6 address counts as its /64: whoever has one has them all.
"""

import ipaddress
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

PER_ADDRESS = 10
ALL = 200
WINDOW_SECONDS = 300.0
MOST_ADDRESSES = 10_000
SOON_SECONDS = 1.0
"""To wait where those under way may yet be right."""


class Attempts:
    """Failures of the last five minutes. Memory is bounded: of too many addresses the longest silent is forgotten.

    An address that has logged in lately is not held up by what others do.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all: deque[float] = deque(maxlen=ALL)
        self._by_address: OrderedDict[str, deque[float]] = OrderedDict()
        self._good: OrderedDict[str, None] = OrderedDict()
        self._under_way: Counter[str] = Counter()

    def wait(self, address: str) -> int | None:
        """Whole seconds until this address may try again; None = now."""
        address, now = _network(address), self._clock()
        longest = _wait(self._by_address.get(address, ()), self._under_way[address], PER_ADDRESS, now)
        if address not in self._good:
            longest = max(longest, _wait(self._all, self._under_way.total(), ALL, now))
        return math.ceil(longest) if longest > 0 else None

    @contextmanager
    def trying(self, address: str) -> Generator[None]:
        """Count a try as a failure while it is under way."""
        address = _network(address)
        self._under_way[address] += 1
        try:
            yield
        finally:
            self._under_way -= Counter([address])  # forgets who has none left

    def failed(self, address: str) -> None:
        """Count a failure."""
        address, now = _network(address), self._clock()
        self._all.append(now)
        self._by_address.setdefault(address, deque(maxlen=PER_ADDRESS)).append(now)
        self._by_address.move_to_end(address)
        if len(self._by_address) > MOST_ADDRESSES:
            self._by_address.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Take note of an address where somebody belongs here."""
        address = _network(address)
        self._good[address] = None
        self._good.move_to_end(address)
        if len(self._good) > MOST_ADDRESSES:
            self._good.popitem(last=False)


def _network(address: str) -> str:
    """What is counted as one: an IPv4 address, an IPv6 network; anything else as it is."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:  # a Unix socket
        return address
    if isinstance(known, ipaddress.IPv4Address):
        return address
    return str(known.ipv4_mapped or ipaddress.IPv6Network((int(known) >> 64 << 64, 64)))


def _wait(failures: Sequence[float], under_way: int, most: int, now: float) -> float:
    """Seconds; failures: when, oldest first, as many as count."""
    if len(failures) + under_way < most:
        return 0.0
    recent = [at for at in failures if at + WINDOW_SECONDS > now]
    if len(recent) + under_way < most:
        return 0.0
    return recent[0] + WINDOW_SECONDS - now if len(recent) == most else SOON_SECONDS
