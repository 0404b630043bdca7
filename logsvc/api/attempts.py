"""A job's life told from its rows: each attempt with its own error. Pure."""

from collections.abc import Sequence

import msgspec

from logsvc.rows import Row
from tocsin.times import rfc3339_or_none

ENDINGS = {"completed": "completed", "failed": "failed", "retrying": "failed", "stalled": "stalled"}


class Attempt(msgspec.Struct, kw_only=True):
    """One try at a job. n: 1-based. started, ended: null = not seen. outcome: running, completed, failed or stalled."""

    n: int
    started: str | None
    ended: str | None = None
    outcome: str = "running"
    error: str = ""
    error_type: str = ""
    stack: list[str] = []
    worker: str = ""
    run_ms: int | None = None


def attempts_of(rows: Sequence[Row]) -> list[Attempt]:
    """Tell the attempts from one run's events, oldest first.

    An `active` event begins an attempt; the next event that ends one (completed, failed, retrying, stalled) is its end.
    An end without a beginning (trimmed, or before Tocsin) makes an attempt of its own; a second end of the same attempt
    (`retries-exhausted` after `failed`) adds only what the first did not know.
    """
    found: list[Attempt] = []
    is_open = False
    for row in rows:
        if row.kind != "event":
            continue
        if row.event == "active":
            found.append(
                Attempt(n=_number(row, found), started=rfc3339_or_none(row.started_at) or row.ts, worker=row.worker)
            )
            is_open = True
        elif outcome := _outcome(row):
            if not is_open and not _is_end_again(row, found):
                if row.attempt == 0 and outcome != "completed" and found:
                    continue
                found.append(Attempt(n=_number(row, found), started=rfc3339_or_none(row.started_at)))
            _end(found[-1], row, outcome)
            is_open = False
    return found


def _outcome(row: Row) -> str | None:
    return "stalled" if row.event == "stalled" else ENDINGS.get(row.state)


def _is_end_again(row: Row, found: Sequence[Attempt]) -> bool:
    return bool(found) and (row.attempt in (0, found[-1].n)) and found[-1].outcome == _outcome(row)


def _number(row: Row, found: Sequence[Attempt]) -> int:
    return row.attempt or (found[-1].n + 1 if found else 1)


def _end(attempt: Attempt, row: Row, outcome: str) -> None:
    attempt.ended = attempt.ended or rfc3339_or_none(row.ended_at) or row.ts
    attempt.outcome = outcome
    attempt.error = attempt.error or row.error
    attempt.error_type = attempt.error_type or row.error_type
    attempt.stack = attempt.stack or row.stack
    attempt.worker = attempt.worker or row.worker
    attempt.started = attempt.started or rfc3339_or_none(row.started_at)
    attempt.run_ms = row.run_ms if attempt.run_ms is None else attempt.run_ms
