"""Who dealt with a failure last, and how: the bot knows, for incidents are its own."""

from typing import Protocol

import msgspec


class Handled(msgspec.Struct):
    """by: a person. how: acked, silenced, resolved or retried. note: what they said of it."""

    by: str
    how: str
    at: str
    note: str = ""


class Handling(msgspec.Struct):
    """is_known: false = who knows cannot be asked now; then last says nothing. last: null = nobody has."""

    is_known: bool
    last: Handled | None


class Incidents(Protocol):
    """Who can be asked about incidents. An answer comes within two seconds, or says that nothing is known."""

    async def last_handling(self, fingerprint: str) -> Handling: ...


class NoIncidents:
    """While the bot has no API for it: nothing is known."""

    async def last_handling(self, fingerprint: str) -> Handling:
        del fingerprint
        return Handling(is_known=False, last=None)
