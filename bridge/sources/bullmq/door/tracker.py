"""The connection by which Redis tells what has changed (CLIENT TRACKING), for all who read at one process.

Redis remembers for it the keys that were read through it, and pushes the name of each once it changes. It never forgets
a connection that has ended, so there is one for as long as possible: a new one would make each quiet key remember two.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol, cast

import structlog
from redis.exceptions import ResponseError

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door.link import ASK_SECONDS, AWAY, Command, Refused, Reply, Tracking, why
from bridge.sources.bullmq.door.shared import Shared
from bridge.sources.bullmq.door.together import APART_SECONDS

log = structlog.get_logger("bridge.tracker")

AFRESH_SECONDS = 45.0
"""So often nothing counts as known, and all is read again. It bounds how long we miss what a replica loaded as a whole:
it tells of what its primary changes, not of keys in a full copy."""

OPEN_SECONDS = 1.0
"""So long others wait for the connection; then they go on without."""

AGAIN_SECONDS = 1.0
"""After it ended, before another one."""

RETRY_SECONDS = 30.0
"""After there was none to be had."""

REFUSED_SECONDS = 300.0

MOST_IDLE = 2000
"""Keys told of in AFRESH_SECONDS that had not changed."""


class Reader(Protocol):
    """Who reads keys, and is told what becomes of them."""

    def learn(self, key: str) -> None:
        """It was read."""
        ...

    def tell(self, key: str) -> None:
        """It has changed."""
        ...

    def lose(self, key: str) -> None:
        """Somebody else is told of it."""
        ...

    def lose_all(self) -> None:
        """Everything may have changed."""
        ...


class Tracker:
    """Of one source. Reads go through it as long as it `is_on`."""

    def __init__(self, tracking: Tracking, source: str) -> None:
        self._tracking = tracking
        self._source = source
        self._readers: dict[str, Reader] = {}
        self._opening: asyncio.Task[None] | None = None
        self._shared: Shared | None = None
        self._process = ""
        self._begun = 0.0
        self._afresh_at = 0.0
        self._idle = 0
        self._not_before = 0.0
        self._is_refusal_told = False

    @property
    def is_on(self) -> bool:
        """Whether Redis tells; else nothing is known of any key."""
        return self._shared is not None and self._process == self._tracking.process()

    async def renew(self) -> None:
        """Begin if that may be, and read all afresh now and then. Waits for it a moment, and goes on without then."""
        now = time.monotonic()
        if self.is_on:
            if now >= self._afresh_at:
                self._lose_all()
                self._afresh_at, self._idle = now + AFRESH_SECONDS, 0
            return
        if self._opening is None:
            await self._leave()
            if now < self._not_before or self._opening is not None:
                return
            self._begun = now
            self._opening = asyncio.create_task(self._open(), name=f"track-{self._source}")
        opening = self._opening
        await asyncio.wait({opening}, timeout=max(0.0, self._begun + OPEN_SECONDS - now))
        if opening.done() and self._opening is opening:
            self._opening = None
            opening.result()

    async def ask(
        self,
        reader: Reader,
        commands: Sequence[Command],
        keys: Sequence[Sequence[str]],
        *,
        seconds: float,
        as_text: bool,
    ) -> list[Reply]:
        """Their replies. What is no refusal makes its keys known to the reader. Raises SourceUnavailable.

        It counts for no breaker: many wait for one connection, and who does without it finds out how Redis is.
        """
        shared = self._shared
        if shared is None or not self.is_on:
            raise SourceUnavailable("tracking is off")

        def on_reply(at: int, reply: Reply) -> None:
            if self._shared is shared and not isinstance(reply, Refused):
                self._know(reader, keys[at])

        try:
            async with asyncio.timeout(seconds):
                return await shared.ask(commands, on_reply=on_reply, as_text=as_text)
        except AWAY as error:
            if self._shared is shared:
                self._give_up(error)
                await self._leave()
            raise SourceUnavailable(why(error)) from error

    def forget(self, reader: Reader, keys: Iterable[str]) -> None:
        """What becomes of these is of no interest to this reader any more."""
        for key in keys:
            if self._readers.get(key) is reader:
                del self._readers[key]

    async def note_idle(self) -> None:
        """A change was told of that was none."""
        self._idle += 1
        if self.is_on and self._idle >= MOST_IDLE:
            reason = (
                "it tells of keys that did not change: it remembers too few, or another of its databases has the same"
            )
            await self._distrust(reason, "raise tracking-table-max-keys, or give each app a Redis of its own")

    async def note_silent(self) -> None:
        """A key changed, and nothing was told."""
        mend = "give one Redis, not several behind a balancer; else report it, with the kind and version of your Redis"
        await self._distrust("it does not tell of every change", mend)

    async def close(self) -> None:
        """End it; it may be used again."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        await self._leave()

    async def _open(self) -> None:
        connection = self._tracking.connect()
        try:
            async with self._tracking.guard(ASK_SECONDS):
                refused = await _begin(connection)
            if refused is not None:
                raise refused
        except BaseException as error:
            with suppress(Exception):
                await connection.disconnect(nowait=True)
            if isinstance(error, ResponseError):
                self._refuse(str(error), "allow CLIENT TRACKING and HELLO")
            elif isinstance(error, AWAY):
                self._rest(error, RETRY_SECONDS)
            else:
                raise
        else:
            self._process = self._tracking.reached(connection)
            self._shared = Shared(connection, on_push=self._pushed, on_end=self._ended)
            self._afresh_at, self._idle = time.monotonic() + AFRESH_SECONDS, 0

    async def _leave(self) -> None:
        shared, self._shared = self._shared, None
        self._lose_all()
        if shared is not None:
            await shared.close()

    def _ended(self, error: Exception) -> None:
        if self._shared is not None and self._shared.has_ended:
            self._shared = None
            self._give_up(error)
            self._lose_all()

    def _give_up(self, error: Exception) -> None:
        self._rest(error, APART_SECONDS if isinstance(error, TimeoutError) else AGAIN_SECONDS)

    def _rest(self, error: BaseException, seconds: float) -> None:
        self._not_before = time.monotonic() + seconds
        log.info("tracking_ended", source=self._source, reason=why(error), again_in_seconds=seconds)

    async def _distrust(self, reason: str, mend: str) -> None:
        self._refuse(reason, mend)
        await self._leave()

    def _refuse(self, reason: str, mend: str) -> None:
        """Redis refused, or may as well have: said once."""
        self._not_before = time.monotonic() + REFUSED_SECONDS
        if not self._is_refusal_told:
            self._is_refusal_told = True
            log.info(
                "tracking_refused",
                source=self._source,
                reason=reason,
                instead="Redis is asked again and again for new entries, and for the logs of active jobs",
                mend=mend,
            )

    def _lose_all(self) -> None:
        readers = set(self._readers.values())
        self._readers.clear()
        for reader in readers:
            reader.lose_all()

    def _know(self, reader: Reader, keys: Iterable[str]) -> None:
        for key in keys:
            before = self._readers.get(key)
            if before is not reader:
                if before is not None:
                    before.lose(key)
                self._readers[key] = reader
            reader.learn(key)

    def _pushed(self, message: Sequence[Any]) -> None:
        """These keys have changed, or None = all."""
        if _text(message[0]) != "invalidate":
            return
        names = cast(Sequence[bytes | str] | None, message[1])
        if names is None:
            self._lose_all()
            return
        for key in map(_text, names):
            reader = self._readers.pop(key, None)
            if reader is not None:
                reader.tell(key)


async def _begin(connection: Any) -> ResponseError | None:
    """Connect, and begin to be told; return what Redis refused, which is no sign that it is ill. Raises what is."""
    try:
        await connection.connect()
        await connection.send_command("CLIENT", "TRACKING", "ON")
        await connection.read_response()
    except ResponseError as refused:
        return refused
    return None


def _text(raw: bytes | str) -> str:
    return raw if isinstance(raw, str) else raw.decode(errors="replace")
