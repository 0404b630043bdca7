"""What the job events of a batch amount to: failures and their like, by what makes them one incident (pure)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bot.rules.policy import Policy, Ringing, ringing
from tocsin.events import JobEvent


class Key(NamedTuple):
    """What makes two failures the same incident."""

    env: str
    source: str
    queue: str
    fingerprint: str


def rule_of(fingerprint: str) -> str:
    """The name of the rule whose incidents have this fingerprint; "failed" for what a job's error says."""
    mark, _, rule = fingerprint.partition(":")
    return rule.partition(":")[0] if mark == "rule" else "failed"


KEY_BYTES = 600
"""Bytes of each of the four parts of a key: an index entry of Postgres holds some 2700."""
SHORT, LONG = 300, 2000
LAST_MS = 253_402_300_799_000
"""The end of the year 9999, the last one a date can be told of."""
NOT_STORED = "(Postgres could not hold the details of this failure; history has them)"
MOST_WORKERS = 20
OTHER_WORKERS = "others"
_FOREIGN = ("node_modules", "node:", "<anonymous>", "site-packages", "dist-packages", "/lib/python", "internal/")


@dataclass(frozen=True)
class LastFailure:
    """The newest failure of an incident, as far as a chat may see it: no payload, no result, no log line."""

    job_id: str = ""
    job_name: str = ""
    error_type: str = ""
    error: str = ""
    frame: str = ""
    attempt: int = 0
    max_attempts: int = 0
    worker: str = ""


@dataclass(frozen=True)
class Tally:
    """The failures of one key in one batch. Times are ms, Redis clock. is_fresh: the newest is not stale.

    workers: failures by the worker they happened on, where that is known. least: it rings from this count on.
    behind_ms: by how much that clock is behind ours.
    """

    count: int
    first_ms: int
    last_ms: int
    is_fresh: bool
    last: LastFailure
    workers: Mapping[str, int] = field(default_factory=dict[str, int])
    least: int = 1
    behind_ms: int = 0

    @property
    def failed_ms(self) -> int:
        """When the newest failed, by our clock."""
        return self.last_ms + self.behind_ms


def tally(
    events: Iterable[JobEvent], *, now_ms: int, born_ms: int, policy: Policy, skew_ms: Mapping[str, int]
) -> dict[Key, Tally]:
    """Group the failures of a batch. What failed before born_ms (the bot's first start) is the past: left out.

    skew_ms: source -> how far the clock of its Redis is behind; without it a Redis that is minutes behind would have
    no failure that is fresh. Corrects comparisons with our clock only: people are told the time of their Redis.
    """
    tallies: dict[Key, Tally] = {}
    for event in events:
        behind_ms = skew_ms.get(event.source, 0)
        failed_ms = event.ts + behind_ms
        found = ringing(event, policy)
        if found is None or failed_ms < born_ms:
            continue
        key = Key(*(key_part(part) for part in (event.env, event.source, event.queue, found.fingerprint)))
        is_fresh = now_ms - failed_ms <= policy.stale_seconds * 1000
        at_ms = min(event.ts, LAST_MS)
        last = _last(event, found)
        workers = {last.worker: found.count} if last.worker else {}
        one = Tally(found.count, at_ms, at_ms, is_fresh, last, workers, found.least, behind_ms)
        known = tallies.get(key)
        tallies[key] = one if known is None else _add(known, one)
    return tallies


def _add(one: Tally, other: Tally) -> Tally:
    newest = other if other.last_ms >= one.last_ms else one
    return Tally(
        count=one.count + other.count,
        first_ms=min(one.first_ms, other.first_ms),
        last_ms=newest.last_ms,
        is_fresh=one.is_fresh or other.is_fresh,
        last=newest.last,
        workers=spread(one.workers, other.workers),
        least=newest.least,
        behind_ms=newest.behind_ms,
    )


def spread(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Failures by worker, added up; beyond MOST_WORKERS names the rest share one."""
    whole = Counter(one)
    for worker, count in other.items():
        whole[worker if worker in whole or len(whole) < MOST_WORKERS else OTHER_WORKERS] += count
    return dict(whole)


def _last(event: JobEvent, found: Ringing) -> LastFailure:
    return LastFailure(
        job_id=stored(event.job_id, SHORT),
        job_name=stored(event.job_name, SHORT),
        error_type=stored(found.title or event.error_type, SHORT),
        error=stored(found.text or event.error, LONG),
        frame=stored(failing_frame(event.stack), SHORT),
        attempt=event.attempt,
        max_attempts=event.max_attempts,
        worker=stored(event.worker, SHORT),
    )


def failing_frame(stack: Sequence[str]) -> str:
    """The newest call in the app's own code: a library's own frames say less; the newest of all where there is none."""
    own = (frame for frame in stack if not any(mark in frame for mark in _FOREIGN))
    return next(own, stack[0] if stack else "")


def stored(text: str, most: int) -> str:
    """Text as Postgres can hold it: without NUL or half a character, and not longer than we shall ever show."""
    return text[:most].replace("\0", "\ufffd").encode(errors="replace").decode()


def key_part(text: str) -> str:
    """One part of a key, as the index can hold it."""
    return stored(text, KEY_BYTES).encode()[:KEY_BYTES].decode(errors="ignore")


def bare(event: JobEvent) -> JobEvent:
    """The least of a failure that still rings: where it happened, in ASCII; for one whose details cannot be stored."""
    env, source, queue, job_id = (ascii(part)[1:-1] for part in (event.env, event.source, event.queue, event.job_id))
    return JobEvent(
        v=event.v,
        id="",
        ts=event.ts,
        env=env,
        source=source,
        queue=queue,
        epoch=event.epoch,
        stream_id="",
        event=event.event,
        state=event.state,
        job_id=job_id,
        error=NOT_STORED,
    )
