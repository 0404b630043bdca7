"""A job's hash, read when one of its events is: what the event itself does not say.

The hash shows the moment of the read, which may be later than the event, never earlier: BullMQ writes the hash before
the event, in one script.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import msgspec

from bridge.jsontext import NotJson
from bridge.jsontext import parse as parse_json
from bridge.redaction import redact
from bridge.sources.bullmq.door import Command, Refused, Reply
from bridge.sources.bullmq.keys import Keys

FIELDS = (
    "name",
    "timestamp",
    "opts",
    "finishedOn",
    "failedReason",
    "stacktrace",
    "atm",
    "attemptsMade",
    "ats",
    "stc",
    "stalledCounter",
    "pb",
    "parentKey",
    "rjk",
    "priority",
)
FIELDS_AND_DATA = (*FIELDS, "data")
COMMANDS_PER_JOB = 2
CACHED_CHARACTERS = 512
"""Longer options are parsed each time: what is remembered is bounded."""
STACK_CHARACTERS = 64 * 1024
"""A longer stack keeps its beginning and its end: the error's name and the frames."""

SKEW_MS = 2_000
"""What the clocks of Redis and of the app's hosts, by which a hash has its times, may differ."""

MAX_WHOLE = 2**53
"""Larger numbers are not of this world: no time, no count."""


class JobHash(msgspec.Struct, gc=False):
    """What the bridge uses of a job's hash.

    attempts_made: ended attempts that counted. attempts_started: runs that began, None = unknown. stalls: runs that
    ended so. is_running: one run had surely not ended. finished_on: Node's clock, ms, 0 = it is not finished. stacks:
    one text per failed attempt, oldest first, "" where the thrown thing had no usable stack; BullMQ cuts the oldest
    when `stackTraceLimit` is set. data: redacted already.
    waits_to_retry: what sends the job back after an error: True = always a delay, False = never one, None = either
    (jitter, or a strategy of the app's own).
    """

    name: str = ""
    added_at: int = 0
    max_attempts: int = 0
    attempts_made: int = 0
    attempts_started: int | None = None
    stalls: int = 0
    is_running: bool = False
    finished_on: int = 0
    is_completed: bool = False
    failed_reason: str | None = None
    stacks: list[str] = []
    has_stack_limit: bool = False
    waits_to_retry: bool | None = None
    keeps_logs: bool = False
    worker: str = ""
    parent: str = ""
    scheduler: str = ""
    trace_id: str = ""
    priority: int = 0
    data: str = ""

    @property
    def failures(self) -> int:
        """Failed attempts so far."""
        return max(0, self.attempts_made - 1) if self.is_completed else self.attempts_made

    @property
    def is_every_run_counted(self) -> bool:
        """Whether each run that ended was an attempt, but those that stalled."""
        return self.attempts_started == self.attempts_made + self.stalls + self.is_running


def commands(
    keys: Keys, job_id: str, *, with_data: bool, with_end: bool = True, with_lock: bool = False
) -> list[Command]:
    """COMMANDS_PER_JOB commands whose replies `parse` reads: one less without the end, two more with the lock.

    with_data: the payload is asked for only when it is wanted. with_end: how it ended, which only the error of a failed
    attempt depends on. with_lock, only with_end: whether a run had not ended when the hash was read, as far as that can
    be told afterwards. A transaction would tell it always, but a cluster refuses one while it moves the slot.
    """
    key = keys.job(job_id)
    asked: list[Command] = [("HMGET", key, *(FIELDS_AND_DATA if with_data else FIELDS))]
    if with_end:
        asked.append(("HEXISTS", key, "returnvalue"))
    return [*asked, ("EXISTS", keys.lock(job_id)), ("HMGET", key, "ats", "atm")] if with_lock else asked


def parse(replies: list[Reply]) -> JobHash | None:
    """The hash, or None if the job is gone (or the key is no job's). replies: with texts or with bytes."""
    values = replies[0]
    if isinstance(values, Refused) or values is None or values.count(None) == len(values):
        return None
    has_result, *lock = replies[1:] or (0,)
    texts = values if isinstance(values[0], str) else [_text(value) for value in values]
    (name, added_at, opts, finished_on, failed_reason, stacktrace, made_v5, made_v4, ats) = texts[:9]
    (stalled_v5, stalled_v4, worker, parent, scheduler, priority, *data) = texts[9:]
    options = _options(opts or "")
    made = whole(made_v5 or made_v4)
    return JobHash(  # by position: names take five times as long
        name or "",
        whole(added_at),
        options.max_attempts,
        made,
        _started(ats, made, is_counted=made_v4 is None),
        whole(stalled_v5 or stalled_v4),
        bool(lock) and _was_running(lock[0], lock[1], ats, made),
        whole(finished_on),
        finished_on is not None and has_result == 1,
        failed_reason,
        _stacks(stacktrace) if stacktrace else [],
        options.has_stack_limit,
        options.waits_to_retry,
        options.keeps_logs,
        worker or "",
        parent or "",
        scheduler or "",
        options.trace_id,
        whole(priority),
        redact.json_text(data[0]) if data and data[0] else "",
    )


def _was_running(is_locked: Reply, afterwards: Reply, ats: str | None, made: int) -> bool:
    """Whether a run had not ended when `ats` and `made` were read; the app may have had its turn since.

    It had not if no other began until it was seen locked still, or counted.
    """
    if not isinstance(afterwards, list):
        return False
    ats_then, made_then = (_text(value) for value in cast(list[Reply], afterwards))
    return ats_then == ats and (is_locked == 1 or whole(made_then) > made)


@dataclass(frozen=True, slots=True)
class _Options:
    """A job's options, as far as the hash's other fields need them."""

    max_attempts: int
    has_stack_limit: bool
    waits_to_retry: bool | None
    keeps_logs: bool
    trace_id: str
    delay: int


def _options(text: str) -> _Options:
    """The jobs of a queue mostly share their options, to the letter."""
    return _cached_options(text) if len(text) <= CACHED_CHARACTERS else _parse_options(text)


def _parse_options(text: str) -> _Options:
    options = _json_object(text)
    return _Options(
        max_attempts=max(1, whole(options.get("attempts"))),
        has_stack_limit="stackTraceLimit" in options,
        waits_to_retry=_waits_to_retry(options.get("backoff")),
        keeps_logs="kl" in options,
        trace_id=_trace_id(options.get("tm")),
        delay=whole(options.get("delay")),
    )


_cached_options = lru_cache(maxsize=1024)(_parse_options)


def _text(value: Reply) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else value if isinstance(value, str) else None


def delay_of(options: bytes) -> int:
    """How long after it was added a job was to be ready, ms; options: as the hash holds them."""
    return _options(options.decode(errors="replace")).delay


def _started(text: str | None, made: int, *, is_counted: bool) -> int | None:
    """Runs that began: none before the first, never fewer than ended; BullMQ 4 (is_counted False) did not count."""
    started = whole(text)
    return started if is_counted and started >= made else None


def whole(value: Any) -> int:
    """A number written by others, 0 when it is none or beyond sense."""
    if value is None:
        return 0
    try:
        number = int(value) if isinstance(value, str) and value.isdecimal() else int(float(value))
    except (TypeError, ValueError, OverflowError):
        return 0
    return number if 0 <= number < MAX_WHOLE else 0


def _json_object(text: Any) -> dict[str, Any]:
    value = _json(text)
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _json(text: Any) -> Any:
    try:
        return parse_json(text) if isinstance(text, str) and text else None
    except NotJson:
        return None


def _stacks(text: str | None) -> list[str]:
    value = _json(text)
    entries = cast(list[Any], value) if isinstance(value, list) else []
    return [_shorten(entry) if isinstance(entry, str) else "" for entry in entries]


def _shorten(stack: str) -> str:
    half = STACK_CHARACTERS // 2
    return stack if len(stack) <= STACK_CHARACTERS else f"{stack[:half]}\n{stack[-half:]}"


def _waits_to_retry(backoff: Any) -> bool | None:
    described = cast(dict[str, Any], backoff) if isinstance(backoff, dict) else {"type": "fixed", "delay": backoff}
    if described.get("type") not in ("fixed", "exponential") or described.get("jitter"):
        return None
    return whole(described.get("delay")) > 0


def _trace_id(telemetry: Any) -> str:
    """The trace id of `{"traceparent":"00-<trace>-<span>-01"}`, which BullMQ keeps as a JSON text."""
    parent = _json_object(telemetry).get("traceparent")
    parts = parent.split("-") if isinstance(parent, str) else []
    return parts[1] if len(parts) >= 3 and re.fullmatch("[0-9a-f]{32}", parts[1]) else ""
