"""Accounts rendered: what ClickHouse and the chat say, held against what really happened to every job."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from bot.texts import NOBODY_HAS_IT
from tests.bullmq.records import Job, Truth
from tests.product import Product

ENDS = "(state = 'retrying' OR event IN ('completed', 'failed'))"
SELECT_ENDS = f"""
SELECT queue, job_id, job_name, attempt, event, state, error, error_type, enriched
FROM journal WHERE kind = 'event' AND {ENDS} ORDER BY queue, job_id, ts, attempt
"""
SELECT_COUNTS = """
SELECT count(), uniqExact(id), uniqExact(kafka_topic, kafka_partition, kafka_offset) FROM journal
WHERE service = ''
"""
SELECT_LOGS = (
    "SELECT queue, job_id, message FROM journal WHERE kind = 'log' AND job_id != '' ORDER BY queue, job_id, line"
)
BY_STATE = "SELECT queue, state, event, count() FROM journal WHERE kind = 'event' GROUP BY queue, state, event"
SELECT_BY_STATE = f"{BY_STATE} SETTINGS optimize_use_projections = 0"
PROJECTED_BY_STATE = f"{BY_STATE} SETTINGS optimize_use_projections = 1, force_optimize_projection = 1"

_TITLE = re.compile(r"^\S+ (?P<env>\S+) · (?P<queue>.+?) · .*×(?P<count>\d+)")


def differences(truth: Truth, ends: Sequence[Sequence[Any]], *, ephemeral: str) -> list[str]:
    """Every job whose attempts, errors, names or last state differ from the truth, in words. Empty = all equal.

    Of the ephemeral queue's jobs, whose hash may have gone before it was read, attempts' errors may be missing where
    the record is marked enriched=false; their count, the last state, the name and the final error must be right. So
    it is with jobs that were handed back, by themselves or by a rate limit, and failed besides, and were read late:
    BullMQ does both by one script, and writes of it what it writes of a retry.
    """
    told: dict[tuple[str, str], list[Sequence[Any]]] = defaultdict(list)
    for row in ends:
        told[row[0], row[1]].append(row)
    found = [f"{key}: no such job ran" for key in told.keys() - truth.jobs.keys()]
    for key, job in truth.jobs.items():
        found += _of_job(job, told[key], is_ephemeral=job.queue == ephemeral)
    return found


def _of_job(job: Job, rows: Sequence[Sequence[Any]], *, is_ephemeral: bool) -> Iterable[str]:
    final = [row for row in rows if row[4] in ("completed", "failed")]
    if len(final) != 1 or final[0][5] != job.final_state:
        yield f"{job.key} ({job.kind}): ended {[row[5] for row in final]}, truly {job.final_state}"
        return
    if job.final_state == "failed" and final[0][6] != (job.failed_reason or ""):
        yield f"{job.key} ({job.kind}): final error {final[0][6]!r}, truly {job.failed_reason!r}"
    certain = [row for row in rows if row[8]]
    if is_ephemeral and len(certain) < len(rows) and job.postponed:
        return  # without its hash nothing tells a run that was put off from one that failed
    is_doubtful = job.kind in ("handed-back", "rate-limited") and len(job.attempts) > 1
    if len(certain) < len(rows) and is_doubtful and {row[2] for row in rows} == {job.name}:
        return  # nor does the hash itself, read late, tell a run that was handed back from one that failed
    if not is_ephemeral and len(certain) < len(rows) and job.kind != "thrown-text":
        yield f"{job.key} ({job.kind}): {len(rows) - len(certain)} records not enriched though the hash stays"
    if {row[2] for row in rows} != {job.name}:
        yield f"{job.key} ({job.kind}): named {[row[2] for row in rows]}, truly {job.name!r}"
    was = [(attempt.n, attempt.outcome) for attempt in job.attempts]
    says = [(row[3], "completed" if row[4] == "completed" else "failed") for row in rows]
    if was != says:
        yield f"{job.key} ({job.kind}): attempts {says}, truly {was}"
        return
    for attempt, row in zip(job.attempts, rows, strict=True):
        if attempt.error is not None and row[8] and row[6] != attempt.error:
            yield f"{job.key} ({job.kind}): attempt {attempt.n} failed with {row[6]!r}, truly {attempt.error!r}"


def log_differences(truth: Truth, logs: Sequence[Sequence[Any]], *, ephemeral: str) -> list[str]:
    """Jobs whose log lines differ, the ephemeral queue's aside."""
    told: dict[tuple[str, str], list[str]] = defaultdict(list)
    for queue, job_id, message in logs:
        told[queue, job_id].append(message)
    return [
        f"{key}: logged {told[key]}, truly {list(job.logs)}"
        for key, job in truth.jobs.items()
        if job.queue != ephemeral and told[key] != list(job.logs)
    ]


def expected_rings(truth: Truth) -> dict[str, Counter[int]]:
    """Per queue: how many incidents with how many failures each."""
    rings: dict[str, Counter[int]] = defaultdict(Counter)
    for (queue, _), count in truth.final_failures().items():
        rings[queue][count] += 1
    return dict(rings)


def rings(chat: Sequence[dict[str, Any]]) -> dict[str, Counter[int]]:
    """The same as the chat tells it: each alert message is one incident, whatever is said below it later."""
    told: dict[str, Counter[int]] = defaultdict(Counter)
    for message in chat:
        title = _TITLE.match(message.get("text", "").splitlines()[0]) if message.get("text") else None
        if title and message["from"]["is_bot"] and NOBODY_HAS_IT not in message["text"]:
            told[title["queue"]][int(title["count"])] += 1
    return dict(told)


async def assert_history_is_true(tocsin: Product, truth: Truth, *, relayed: int, ephemeral: str) -> None:
    """Stop logsvc and hold what it stored against the truth, by plain SELECTs. relayed: stream entries there were."""
    assert await tocsin.stop("logsvc") == 0
    counts, ends, logs, by_state, projected = await tocsin.query(
        SELECT_COUNTS, SELECT_ENDS, SELECT_LOGS, SELECT_BY_STATE, PROJECTED_BY_STATE
    )
    rows, ids, places = counts[0]
    assert rows == ids == places, "an event twice"
    assert rows - len(logs) == relayed, "an event missing"
    wrong = differences(truth, ends, ephemeral=ephemeral)
    assert wrong == [], "\n".join(wrong[:20])
    assert log_differences(truth, logs, ephemeral=ephemeral) == []
    assert sorted(map(tuple, by_state)) == sorted(map(tuple, projected)), "the aggregate differs from the rows"
    ended = Counter({row[1]: 0 for row in by_state if row[2] in ("completed", "failed")})
    for _, state, event, count in by_state:
        if event in ("completed", "failed"):
            ended[state] += count
    assert ended == Counter(job.final_state for job in truth.jobs.values())
