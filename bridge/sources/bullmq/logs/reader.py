"""Reads what was not told yet of jobs' logs, wherever in their lists it is."""

from collections.abc import Sequence
from typing import cast

from bridge.sources.bullmq.door import Command, Door, Refused, Reply
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.logs.place import MOST_DIGESTS, Found, LogPlace, Look, digest, look, look_back
from bridge.sources.bullmq.portions import Portion

MOST_LINES = 500
MOST_BACK = 5_000
LOG_BYTES = 1024 * 1024


class LogReader:
    """Reads for one lane. portion: lines to ask for of one log."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self.portion = Portion(first=50, most=MOST_LINES, wanted_bytes=LOG_BYTES)

    def look(self, place: LogPlace, *, is_cut: bool) -> Look:
        """How to read on from a place. is_cut: see place.py."""
        return look(place, self.portion.count, is_cut=is_cut)

    async def find(self, keys: Keys, job_id: str, asked: Look, reply: Reply) -> Found:
        """The new lines in the reply to a look; they are searched for if the place was not there.

        Of a log that was cut, no more than the last LOG_BYTES or MOST_BACK lines: what it held before them is lost like
        the lines that BullMQ cut. They are read at once, since every line that is written moves all others. Raises
        SourceUnavailable.
        """
        found = asked.find(self._lines(reply))
        back, count = Portion(first=2 * MOST_DIGESTS, most=MOST_BACK, wanted_bytes=LOG_BYTES), 0
        while not found.is_sure and back.count > count:
            count = back.count
            look = look_back(asked.place, count)
            # A replica may be behind what was told: to its primary nothing is missing.
            (reply,) = await self._door.ask_primary([read_command(keys, job_id, look)])
            lines = self._lines(reply)
            found = look.find(lines)
            back.learn([len(line) for line in lines])
        return found

    async def read(self, keys: Keys, job_id: str, place: LogPlace, *, is_cut: bool) -> Found:
        """Read the new lines of one log. Raises SourceUnavailable."""
        asked = self.look(place, is_cut=is_cut)
        (reply,) = await self._door.ask([read_command(keys, job_id, asked)])
        return await self.find(keys, job_id, asked, reply)

    def _lines(self, reply: Reply) -> list[str]:
        lines = lines_of(reply)
        self.portion.learn([len(line) for line in lines])
        return lines


def read_command(keys: Keys, job_id: str, look: Look) -> Command:
    """Read the lines of a look."""
    return ("LRANGE", keys.logs(job_id), look.first, look.last)


def lines_of(reply: Reply) -> list[str]:
    """LRANGE's reply as texts."""
    if not reply or isinstance(reply, Refused):
        return []
    lines = cast(list[str | bytes], reply)
    return [line if isinstance(line, str) else line.decode(errors="replace") for line in lines]


def end_commands(keys: Keys, job_id: str) -> list[Command]:
    """Read what `end` tells of: where the log ends."""
    return [("LRANGE", keys.logs(job_id), -MOST_DIGESTS, -1), ("LLEN", keys.logs(job_id))]


def end(replies: Sequence[Reply]) -> LogPlace:
    """The place behind all lines there are."""
    length = replies[1] if isinstance(replies[1], int) else 0
    return LogPlace(length, b"".join(map(digest, lines_of(replies[0]))), length)
