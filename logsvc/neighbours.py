"""How bridge and bot say they are, each replica by itself: looked at every few seconds, and kept when it is away."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import httpx
import msgspec

from tocsin.breakers import Breakers, Guard, Unavailable
from tocsin.discovery import Directory
from tocsin.lifecycle import pause
from tocsin.status import Status

LOOK_SECONDS = 5.0
ANSWER_SECONDS = 2.0
FORGET_SECONDS = 3600.0
"""A replica that is registered no more, and silent for so long, is not told of any longer."""
SICK = (httpx.HTTPError, msgspec.MsgspecError, UnicodeError)
_IN_WORDS = {
    "ConnectError": "nothing listens there",
    "HTTPStatusError": "it answers with an error",
    "DecodeError": "it answers something else",
    "ValidationError": "it answers something else",
}
"""Reasons that are the names of errors, as people say them."""


@dataclass(frozen=True)
class Seen:
    """What one replica said last. at: when, seconds since 1970; None = never. problem: why it is not known now."""

    service: str
    address: str
    status: Status | None = None
    at: float | None = None
    problem: str = ""


class Neighbours:
    """Run `run` as a supervised part. `seen` is in the order of service and address."""

    def __init__(
        self,
        directory: Directory,
        breakers: Breakers,
        client: httpx.AsyncClient,
        services: Sequence[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._client = client
        self._clock = clock
        self._seen: dict[tuple[str, str], Seen] = {}
        self._guards: dict[str, Guard] = {
            service: breakers.guard_loops(f"{service} status", errors_that_count=SICK, reset_seconds=LOOK_SECONDS)
            for service in services
        }

    @property
    def seen(self) -> list[Seen]:
        return [one for _, one in sorted(self._seen.items())]

    async def run(self, stop: asyncio.Event) -> None:
        """Look until stop is set."""
        while True:
            await asyncio.gather(*(self._look_at(service) for service in self._guards))
            if await pause(stop, LOOK_SECONDS):
                return

    async def _look_at(self, service: str) -> None:
        addresses = self._directory.urls_of(service)
        await asyncio.gather(*(self._ask(service, address) for address in addresses))
        for (known, address), seen in list(self._seen.items()):
            if known == service and address not in addresses:
                self._leave(seen)

    async def _ask(self, service: str, address: str) -> None:
        key = service, address
        before = self._seen.get(key, Seen(service, address))
        try:
            async with self._guards[service](ANSWER_SECONDS):
                answer = (await self._client.get(f"{address}/status", timeout=ANSWER_SECONDS)).raise_for_status()
                status = msgspec.json.decode(answer.content, type=Status)
        except Unavailable as error:
            self._seen[key] = replace(before, problem=_IN_WORDS.get(error.reason, error.reason))
        else:
            self._seen[key] = Seen(service, address, status, self._clock())

    def _leave(self, seen: Seen) -> None:
        """Nobody is told to go there any more: it is shown for a while yet, for it may be the one that died."""
        key = seen.service, seen.address
        if seen.at is None or self._clock() - seen.at > FORGET_SECONDS:
            del self._seen[key]
        else:
            self._seen[key] = replace(seen, problem="no longer registered")
