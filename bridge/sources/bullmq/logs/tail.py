"""How far the logs of one queue's jobs were relayed, so that no line is told twice, whoever goes on.

A job keeps its place after its end too: a retry by hand goes on writing to the same log. The places stand in Kafka
(`log_cursor`), the oldest of jobs that have ended given up first. A job that has not ended keeps its own; only of more
than MOST_PLACES is one given up, or where nobody knew that it has not ended. Then that job's next run is told from
where its log ends at that moment. That places were given up stands in Kafka too.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice

from bridge.record import Record
from bridge.records import Records
from bridge.redaction import redact
from bridge.sources.bullmq.cursors import log_cursor
from bridge.sources.bullmq.logs import lines as logs
from bridge.sources.bullmq.logs.place import Found, LogPlace
from bridge.sources.bullmq.memory import JobMemory, QueueMemory
from bridge.sources.bullmq.translate import Place

MAX_PLACES = 2000
MOST_PLACES = 22_000
"""With those of jobs that have not ended: as many as are watched (open_jobs.py)."""

LOOKED_AT = 100
"""Places looked at in search of one to give up."""

MOST_LOOKS = 50
"""At so many places each in one call, where many are to go."""

_NOT_TOLD = LogPlace()

ENDED, OPEN = ":ended", ":open"
"""Places of such jobs may have been given up: kept like the place of a job of this id, which none can have."""


class LogTail:
    """The places of one queue. Each method returns the records that make its change last.

    A job's place goes by its id as records show it: never so long that no cursor could hold it. may_go_on: whether a
    job has not ended yet; None = nobody knows.
    """

    def __init__(
        self,
        site: str,
        place: Place,
        records: Records,
        memory: QueueMemory,
        restored: Mapping[str, LogPlace],
        may_go_on: Callable[[str], bool | None],
    ) -> None:
        self._may_go_on = may_go_on
        self._site = site
        self._place = place
        self._records = records
        self._memory = memory
        self._places = dict(restored)
        self._gave_up = {whose for whose in (ENDED, OPEN) if self._places.pop(whose, None) is not None}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, job_id: str) -> bool:
        return redact.identifier(job_id) in self._places

    def place(self, job_id: str) -> LogPlace:
        """How far the job's log was relayed."""
        return self._places.get(redact.identifier(job_id), _NOT_TOLD)

    @property
    def is_full(self) -> bool:
        """Whether places of jobs that have ended may have been given up."""
        return ENDED in self._gave_up or len(self._places) >= MAX_PLACES

    def may_have_told(self, job_id: str) -> bool:
        """Whether lines of a job that ran before may have been told though it has no place."""
        known = self._memory.known(job_id)
        return OPEN in self._gave_up and job_id not in self and (known is None or known.runs != 0)

    def find(self, job_id: str, found: Found) -> None:
        """Remember where in the list the lines begin that follow the place, whether they are told or not."""
        name = redact.identifier(job_id)
        if name in self._places:
            self._places[name] = self._places[name].found_at(found.at)

    def tell(
        self,
        job_id: str,
        job: JobMemory,
        lines: list[str],
        *,
        epoch: int,
        ts: int,
        attempt: int,
        backfill: bool,
        rebuilt: bool = False,
    ) -> list[Record]:
        """Relay the lines that follow those seen."""
        if not lines:
            return []
        place = self.place(job_id)
        made = logs.records(
            self._place,
            epoch,
            job_id,
            job,
            lines,
            ts,
            first=place.lines,
            attempt=attempt,
            backfill=backfill,
            rebuilt=rebuilt,
        )
        return [
            *(self._records.line(line) for line in made),
            *self.move(job_id, place.after([line.message for line in made]), ts),
        ]

    def move(self, job_id: str, place: LogPlace, ts: int) -> list[Record]:
        """Set a job's place."""
        name = redact.identifier(job_id)
        self._places.pop(name, None)
        self._places[name] = place
        moved = [self._cursor(name, place, ts)]
        if len(self._places) > MAX_PLACES:
            moved += self._give_up_oldest(ts)
        return moved

    def drop(self, job_id: str, ts: int) -> list[Record]:
        """The job is gone, and its log with it."""
        name = redact.identifier(job_id)
        return [] if self._places.pop(name, None) is None else [self._cursor(name, None, ts)]

    def clear(self, ts: int) -> list[Record]:
        """All jobs are gone."""
        gone = [self._cursor(name, None, ts) for name in (*self._places, *self._gave_up)]
        self._places.clear()
        self._gave_up.clear()
        return gone

    def leave(self) -> None:
        """Nobody reads the queue here any more: whoever does reads the places from Kafka."""
        self._places.clear()

    def shrink(self, most: int, ts: int) -> list[Record]:
        """Give up places down to so many, the oldest first; go on at the next call.

        Only of jobs that have ended; where nobody knows of any, of those that may have.
        """
        return self._shrink(most, ts, (False,)) or self._shrink(most, ts, (False, None))

    def _shrink(self, most: int, ts: int, may_go_on: Collection[bool | None]) -> list[Record]:
        given_up: list[Record] = []
        for _ in range(MOST_LOOKS):
            if (excess := len(self._places) - most) <= 0:
                break
            oldest = list(islice(self._places, LOOKED_AT))
            ended = {name: 0 for name in oldest if not self._is_active(name) and self._may_go_on(name) in may_go_on}
            self._put_behind(name for name in oldest if name not in ended)
            if not ended:
                break
            given_up += [record for name in islice(ended, excess) for record in self._give_up(name, ts)]
        return given_up

    def _give_up_oldest(self, ts: int) -> list[Record]:
        """Of jobs that have ended; else, if there are too many, of one that does not run."""
        oldest = list(islice(self._places, LOOKED_AT))
        resting = [name for name in oldest if not self._is_active(name)]
        ended = next((name for name in resting if self._may_go_on(name) is False), None)
        if ended is not None:
            return self._give_up(ended, ts)
        if len(self._places) > MOST_PLACES:
            return self._give_up((resting or oldest)[0], ts)
        self._put_behind(oldest)
        return []

    def _give_up(self, name: str, ts: int) -> list[Record]:
        """Drop a place, and remember whose it may have been."""
        told = {ENDED} if self._may_go_on(name) is False else {ENDED, OPEN}
        first = sorted(told - self._gave_up)
        self._gave_up |= told
        return [*(self._cursor(whose, _NOT_TOLD, ts) for whose in first), *self.drop(name, ts)]

    def _put_behind(self, names: Iterable[str]) -> None:
        """The others are looked at next."""
        for name in names:
            self._places[name] = self._places.pop(name)

    def _is_active(self, name: str) -> bool:
        known = self._memory.known(name)
        return known is not None and known.is_active

    def _cursor(self, name: str, place: LogPlace | None, ts: int) -> Record:
        return self._records.cursor(*log_cursor(self._site, self._place.source, self._place.queue, name, place, ts))
