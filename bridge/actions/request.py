"""What may be asked for, what is answered, and how a request is refused: pure."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from tocsin.access import Progress
from tocsin.events import JobOutcome, Outcome

Action = Literal["retry", "promote", "remove", "pause", "resume"]
ON_JOBS: tuple[Action, ...] = ("retry", "promote", "remove")

MOST_JOBS = 10_000
"""Named one by one."""
MOST_MATCHING = 100_000
"""By a filter."""
LONGEST_ID = 1024
"""Characters. BullMQ's own ids are a number or a UUID."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")


class ActionRefused(Exception):
    """A request that is not carried out. mend: what to do about it. retry_after: seconds, where waiting helps.

    progress: how far it is, of one that is put down for now.
    """

    def __init__(
        self,
        status: int,
        error: str,
        message: str,
        *,
        mend: str | None = None,
        retry_after: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.message = message
        self.mend = mend
        self.retry_after = retry_after
        self.progress = progress


class Filter(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Failed jobs, by all that is given. from_, to: when they failed, RFC 3339 or ms since 1970; to is exclusive."""

    fingerprint: str | None = None
    name: str | None = None
    from_: str | int | None = msgspec.field(default=None, name="from")
    to: str | int | None = None
    state: Literal["failed"] = "failed"

    @property
    def first_ms(self) -> int | None:
        return _milliseconds("filter.from", self.from_)

    @property
    def last_ms(self) -> int | None:
        """The last millisecond that belongs to it."""
        end = _milliseconds("filter.to", self.to)
        return None if end is None else end - 1

    @property
    def needs_hash(self) -> bool:
        """Whether the jobs themselves must be read."""
        return self.fingerprint is not None or self.name is not None


class ActionRequest(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """The body of POST /internal/v1/actions. user_id: who asked, for the audit."""

    request_id: str
    user_id: str | int
    action: Action
    source: str
    queue: str
    job_ids: list[str] | None = None
    filter: Filter | None = None
    dry_run: bool = False

    @property
    def digest(self) -> str:
        """Equal for requests that ask for the same, dry or not."""
        same = msgspec.structs.replace(self, dry_run=False, user_id=str(self.user_id))
        return hashlib.blake2b(msgspec.json.encode(same), digest_size=16).hexdigest()


class QueueNow(msgspec.Struct, kw_only=True):
    """What a pause or resume is about: jobs in line, with and without a priority, and those that run."""

    waiting: int
    active: int


class ActionAnswer(msgspec.Struct, kw_only=True, omit_defaults=True):
    """count: jobs acted on, or that would be (pause, resume: queues). outcomes: how many of each, exact.

    results: one a job, in the order asked for; of a dry run only the jobs that would not be acted on. Of pause and
    resume one, without a job_id, if it was refused.
    Of a dry run alone: descendants: jobs that a removal would take along. queue: as it is now, of pause and resume.
    """

    request_id: str
    dry_run: bool
    count: int
    outcomes: dict[str, int]
    results: list[JobOutcome]
    descendants: int = 0
    queue: QueueNow | None = None


def answer(request: ActionRequest, results: Sequence[JobOutcome]) -> ActionAnswer:
    """The answer to a request whose jobs fared so."""
    outcomes = Counter(result.outcome.value for result in results)
    shown = [one for one in results if not (request.dry_run and one.outcome is Outcome.DONE)]
    if request.action not in ON_JOBS:
        shown = [one for one in shown if one.outcome is not Outcome.DONE]
    return ActionAnswer(
        request_id=request.request_id,
        dry_run=request.dry_run,
        count=outcomes[Outcome.DONE.value],
        outcomes=dict(outcomes),
        results=shown,
    )


def parse(body: bytes) -> ActionRequest:
    """Read and check a request. Raises ActionRefused (400) that names the field."""
    try:
        request = msgspec.json.decode(body, type=ActionRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid(str(error).replace("`$.", "`")) from None
    _check(request)
    return request


def _check(request: ActionRequest) -> None:
    if not _REQUEST_ID.fullmatch(request.request_id):
        raise _invalid("request_id: expected 1 to 128 letters, digits, `.`, `_`, `:` or `-`")
    if not 1 <= len(str(request.user_id)) <= 64:
        raise _invalid("user_id: expected 1 to 64 characters")
    if not request.queue or ":" in request.queue or len(request.queue) > LONGEST_ID:
        raise _invalid("queue: expected a name without `:`")
    given = [name for name in ("job_ids", "filter") if getattr(request, name) is not None]
    if request.action not in ON_JOBS and given:
        raise _invalid(f"{given[0]}: of no use to {request.action}, which is about the whole queue")
    if request.action in ON_JOBS and len(given) != 1:
        raise _invalid("job_ids, filter: give one of them")
    if request.job_ids is not None:
        _check_ids(request.job_ids)
    if request.filter is not None:
        _check_filter(request.action, request.filter)


def _check_ids(job_ids: Sequence[str]) -> None:
    if not 1 <= len(job_ids) <= MOST_JOBS:
        raise _invalid(f"job_ids: expected 1 to {MOST_JOBS} of them")
    if not all(1 <= len(job_id) <= LONGEST_ID for job_id in job_ids):
        raise _invalid(f"job_ids: each has 1 to {LONGEST_ID} characters")


def _check_filter(action: Action, wanted: Filter) -> None:
    if action != "retry":
        raise _invalid(f"filter: only retry takes one; {action} takes job_ids")
    if wanted.fingerprint is not None and not _FINGERPRINT.fullmatch(wanted.fingerprint):
        raise _invalid("filter.fingerprint: expected 16 hex digits")
    if (wanted.fingerprint, wanted.name, wanted.from_, wanted.to) == (None, None, None, None):
        raise _invalid("filter: give fingerprint, name, from or to; for every failed job so far, `to` is the time")
    first, last = wanted.first_ms, wanted.last_ms
    if first is not None and last is not None and first > last:
        raise _invalid("filter.to: expected a time after `from`")


def _milliseconds(name: str, value: str | int | None) -> int | None:
    if value is None:
        return None
    try:
        at = value if isinstance(value, int) else _rfc3339(value)
    except (ValueError, OverflowError):
        at = -1
    if not 0 <= at < 2**53:
        raise _invalid(f"{name}: expected a time like 2026-05-01T03:00:00Z, or ms since 1970")
    return at


def _rfc3339(text: str) -> int:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("no time zone")
    return round(at.timestamp() * 1000)


def _invalid(message: str) -> ActionRefused:
    return ActionRefused(400, "invalid", message)


def body_of(refused: ActionRefused) -> dict[str, Any]:
    """What a refusal says in JSON."""
    body: dict[str, Any] = {"error": refused.error, "message": refused.message}
    if refused.mend is not None:
        body["mend"] = refused.mend
    if refused.progress is not None:
        body["progress"] = refused.progress
    return body
