"""How many may watch at once, in all and from one address: pure."""

import ipaddress
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from logsvc.errors import LogsvcError


class Crowded(LogsvcError):
    """There is no room for one more; the message says for whom. Try again later."""


class Crowd:
    """Counts who is here. Programs on this host, a proxy above all, are counted among all only."""

    def __init__(self, most: int, most_of_one_address: int) -> None:
        self._most = most
        self._most_of_one = most_of_one_address
        self._by_address: Counter[str] = Counter()

    @contextmanager
    def one_more(self, address: str) -> Generator[None]:
        """Count a viewer while it is here. Raises Crowded."""
        if self._by_address.total() >= self._most:
            raise Crowded("too many viewers; try again later")
        if self._by_address[address] >= self._most_of_one and not _is_this_host(address):
            raise Crowded("too many viewers from your address; close some")
        self._by_address[address] += 1
        try:
            yield
        finally:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]


def address_of(scope: Mapping[str, Any]) -> str:
    """The address of the other end of the connection; "" where there is none (a Unix socket)."""
    client: tuple[str, int] | None = scope.get("client")
    return client[0] if client else ""


def _is_this_host(address: str) -> bool:
    try:
        return not address or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
