"""How far a job's log was told, and where that is in its list as it is now: pure.

A log is a list that BullMQ appends to. `keepLogs` cuts its beginning off at each line and `clearLogs` at any time, so
an index alone may mean another line than before. The last lines told are therefore known by digests: they are read once
more before the lines that follow, and looked for from the end where they are not. Nothing tells lines apart that are
alike: a log that was cut and has the same lines again looks like one that nobody wrote to.
"""

import hashlib
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from bridge.sources.bullmq.logs.lines import message_of

DIGEST_BYTES = 8
MOST_DIGESTS = 16


class LogPlace(msgspec.Struct, frozen=True, gc=False):
    """lines: told in all. last: digests of the last of them, oldest first. at: index of the line after them in the
    list, to be checked; None = not known."""

    lines: int = 0
    last: bytes = b""
    at: int | None = 0

    @property
    def digests(self) -> list[bytes]:
        """The digests apart."""
        return [self.last[start : start + DIGEST_BYTES] for start in range(0, len(self.last), DIGEST_BYTES)]

    def after(self, messages: Sequence[str]) -> "LogPlace":
        """The place once the lines that follow are told, as these messages."""
        last = self.last + b"".join(map(_digest, messages[-MOST_DIGESTS:]))
        at = None if self.at is None else self.at + len(messages)
        return LogPlace(self.lines + len(messages), last[-MOST_DIGESTS * DIGEST_BYTES :], at)

    def found_at(self, at: int | None) -> "LogPlace":
        """The same place at another index."""
        return replace(self, at=at)


class Found(msgspec.Struct, frozen=True, gc=False):
    """Lines that were not told, in order, and the index of the first; None = not known.

    is_more: there may be more behind them. is_sure False: reading more of the list may show that fewer are new.
    """

    lines: list[str]
    at: int | None
    is_more: bool = False
    is_sure: bool = True


class Look(msgspec.Struct, frozen=True, gc=False):
    """A read of the list from index `first` to `last`, as LRANGE counts, for what follows a place.

    checked: lines at its beginning that were told; None: the list's last lines, with the place anywhere or nowhere.
    """

    place: LogPlace
    first: int
    last: int
    checked: int | None

    def find(self, lines: Sequence[str]) -> Found:
        """The new ones of the lines that were read."""
        if self.checked is None:
            return _search(self.place, lines, is_all=len(lines) < -self.first)
        told = [digest(line) for line in lines[: self.checked]]
        if self.checked and told != self.place.digests[-self.checked :]:
            return Found([], None, is_sure=False)
        new = list(lines[self.checked :])
        return Found(new, self.place.at, is_more=bool(new) and self.first + len(lines) > self.last)


def look(place: LogPlace, count: int, *, is_cut: bool) -> Look:
    """A look at the `count` lines that follow a place.

    is_cut: the job keeps only its last lines, so as many as are known are checked: one may well be there again.
    """
    if place.at is None:
        return look_back(place, 2 * MOST_DIGESTS)
    known = len(place.last) // DIGEST_BYTES
    checked = min(place.at, known if is_cut else min(known, 1))
    return Look(place, place.at - checked, place.at + count - 1, checked)


def look_back(place: LogPlace, count: int) -> Look:
    """A look at the list's last `count` lines."""
    return Look(place, -count, -1, None)


def _search(place: LogPlace, lines: Sequence[str], *, is_all: bool) -> Found:
    """The lines after the longest row of them that ends what was told; all if there is none.

    is_all: there are none before. What was told may have begun before these lines.
    """
    told, there = place.digests, [digest(line) for line in lines]
    for end in range(len(there), 0, -1):
        known = min(len(told), end)
        if known and told[-known:] == there[end - known : end]:
            is_sure = is_all or known == len(told)
            return Found(list(lines[end:]), end if is_all else None, is_sure=is_sure)
    return Found(list(lines), 0 if is_all else None, is_sure=is_all)


def digest(line: str) -> bytes:
    """What a line is known by: no more of it than is told, since it leaves the process."""
    return _digest(message_of(line))


def _digest(message: str) -> bytes:
    return hashlib.blake2b(message.encode(), digest_size=DIGEST_BYTES).digest()
