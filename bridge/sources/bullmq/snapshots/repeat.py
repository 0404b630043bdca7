"""One member of a queue's `repeat` set and its hash -> what is told of the scheduler: pure."""

import re
from typing import cast

import msgspec

from bridge.redaction import redact
from bridge.sources.bullmq.door import Refused, Reply
from bridge.sources.bullmq.enrich import whole
from bridge.sources.bullmq.snapshots.queues import OVERDUE_MS
from bridge.sources.bullmq.translate import Place
from tocsin.events import VERSION, JobEvent, SchedulerSnapshot

FIELDS = ("name", "pattern", "every", "tz", "ic", "limit", "startDate", "endDate", "data")
"""Of the hash."""
OLD_SHAPE_COLONS = 4
GONE_AFTER = 2
"""Complete readings without it."""
DATA_BYTES = 4 * 1024
"""Of a template's data; all of it is kept in memory."""


def scheduler_gone(one: SchedulerSnapshot, epoch: int, ts: int) -> JobEvent:
    """The record of a scheduler that is no longer in Redis."""
    return Place(one.env, one.source, one.queue).record(
        "gone",
        epoch=epoch,
        tail=f"gone:s:{one.scheduler}:{ts}",
        ts=ts,
        job_name=one.job_name,
        scheduler=one.scheduler,
        message=f"the job scheduler {one.scheduler} is gone: {GONE_AFTER} complete readings did not find it in the "
        "queue's `repeat` set",
    )


def snapshot(place: Place, raw: bytes, next_run: int, reply: Reply, ts: int) -> SchedulerSnapshot | None:
    """One scheduler from its hash; None if that is gone or refused: it is being removed, or no scheduler's.

    A repeatable of BullMQ 5 or older is a hash without `ic`, a still older one has none: its id says it all.
    """
    values = cast(list[bytes | None], reply) if isinstance(reply, list) else []
    texts = {name: value.decode(errors="replace") for name, value in zip(FIELDS, values, strict=False) if value}
    is_legacy = "ic" not in texts
    if not texts and not isinstance(reply, Refused):
        texts = _old_shape(raw.decode(errors="replace"))
    if not texts:
        return None
    made = SchedulerSnapshot(
        v=VERSION,
        ts=ts,
        env=place.env,
        source=place.source,
        queue=place.queue,
        scheduler=name_of(raw),
        job_name=redact.name(texts.get("name", "")),
        pattern=redact.name(texts.get("pattern", "")),
        every=whole(texts.get("every")) or None,
        timezone=redact.name(texts.get("tz", "")),
        next_run=next_run,
        iteration=None if is_legacy else whole(texts["ic"]),
        max_iterations=whole(texts.get("limit")) or None,
        starts_at=whole(texts.get("startDate")) or None,
        ends_at=whole(texts.get("endDate")) or None,
        is_legacy=is_legacy,
        data=redact.json_text(texts.get("data", ""), DATA_BYTES),
    )
    return at(made, ts)


def _old_shape(text: str) -> dict[str, str]:
    """`name:id:endDate:tz:pattern or every`, where there is no hash; {} if the id is none of these."""
    if text.count(":") < OLD_SHAPE_COLONS:
        return {}
    name, _, ends, timezone, rule = text.split(":", OLD_SHAPE_COLONS)
    kind = "every" if re.fullmatch("[0-9]+", rule) else "pattern"
    return {"name": name, "endDate": ends, "tz": timezone, kind: rule}


def overdue_ms(next_run: int | None, now: int) -> int:
    late = now - (next_run or now)
    return late if late > OVERDUE_MS else 0


def at(one: SchedulerSnapshot, now: int) -> SchedulerSnapshot:
    """The same scheduler, seen now."""
    late = overdue_ms(one.next_run, now)
    return msgspec.structs.replace(one, ts=now, is_overdue=late > 0, overdue_seconds=late / 1000)


def name_of(raw: bytes) -> str:
    return redact.identifier(raw.decode(errors="replace"))
