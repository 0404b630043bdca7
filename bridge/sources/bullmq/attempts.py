"""Which run of a job was an attempt, and what each failed attempt left: pure.

BullMQ emits no `failed` for an attempt that will be retried: it shows as `delayed` or `waiting` of an active job, and
so do a stall, a rate limit and `moveToDelayed`, which are no attempts. The job's hash counts the runs that began
(`ats`) and the ends that counted (`atm`), as of the moment it was read; where the two leave a choice, that is said.
Each failed attempt left one stack, the newest last; counted from the end, a stack found in a late read is still the
right one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

import msgspec

from bridge.sources.bullmq.enrich import JobHash

MAX_FRAMES = 50
STALLED_TOO_OFTEN = "job stalled more than allowable limit"
"""BullMQ's own reason. Where the stall checker counts no attempt for it, it replaces the last attempt's."""

_FRAME = re.compile(r"^    at ", re.MULTILINE)
_HEADER = re.compile(r"^([A-Za-z_$][\w$.]*(?: \[[\w$]+\])?)(?::\s?|$)")


class End(Enum):
    """How a run of a job ended.

    BullMQ 5.40 and older say more: RETRIED and HANDED_BACK, where newer ones say the same of both (TO_WAITING). And
    they fail some jobs without counting an attempt: what stalled too often (STALLED_OUT), and a parent whose child
    failed, which never ran (UNSTARTED).
    """

    COMPLETED = auto()
    FAILED = auto()
    STALLED_OUT = auto()
    UNSTARTED = auto()
    RETRIED = auto()
    TO_DELAYED = auto()
    TO_WAITING = auto()
    HANDED_BACK = auto()
    STALLED = auto()

    def __init__(self, _: int) -> None:
        """is_attempt: BullMQ surely counted it. Attributes, since a member named in a property is slow to find."""
        self.is_final = self.name in {"COMPLETED", "FAILED", "STALLED_OUT", "UNSTARTED"}
        self.is_attempt = self.name in {"COMPLETED", "FAILED", "RETRIED"}

    def may_be_attempt(self, waits_to_retry: bool | None) -> bool:
        """Whether BullMQ may have counted it. waits_to_retry: as in JobHash; an error then takes that way alone."""
        if self is End.TO_DELAYED:
            return waits_to_retry is not False
        if self is End.TO_WAITING:
            return waits_to_retry is not True
        return self.is_attempt


class Counted(msgspec.Struct, gc=False):
    """before: attempts made before the first end, a guess unless is_before_known.

    are_attempts: for each end whether it was one. are_certain: for each end whether that and its number are no guess.
    """

    before: int
    are_attempts: list[bool]
    are_certain: list[bool]
    is_before_known: bool = True

    @property
    def is_certain(self) -> bool:
        return all(self.are_certain)


def is_the_next(end: End, before: int, now: int | None, later: int | None) -> bool:
    """Whether the only end is surely the attempt after those known: what most jobs are."""
    return end.is_attempt and (now is None or (now > before and (later is None or now - later <= before + 1)))


def count(
    ends: Sequence[End],
    *,
    before: int | None,
    now: int | None,
    waits_to_retry: bool | None,
    later: int | None = 0,
    later_made: int = 0,
    is_every_run_counted: bool = False,
) -> Counted:
    """Say for each end of one job, oldest first, whether it was an attempt.

    before: attempts known before these ends, None = unknown. now: attempts counted when the hash was read, None = it is
    gone: an end that may be an error's then counts as one, since retries are what usually sends a job back. later: runs
    that may have ended between these ends and that moment, None = unknown. later_made: attempts that surely were made
    then. is_every_run_counted: all but the stalled.
    """
    may_be = [end.may_be_attempt(waits_to_retry) for end in ends]
    least, most = sum(end.is_attempt for end in ends), sum(may_be)
    lowest, highest = (most, most) if is_every_run_counted else (least, most)
    if now is not None:
        # No more than were made in all, unless they were reset by hand.
        highest = max(lowest, min(highest, now - later_made))
    after = now - later if now is not None and later is not None and later in (0, later_made) else None
    if before is not None and now is not None:
        if now - before < lowest:  # reset by hand
            before = None
        elif later is not None and now - before - later > highest:  # something was counted that nobody saw
            return Counted(before, may_be, [False] * len(ends), is_before_known=False)
        else:
            lowest = max(lowest, now - before - later) if later is not None else lowest
            highest = max(lowest, min(highest, now - before - later_made))
    made, is_exact = highest, lowest == highest
    if before is None and after is not None and is_exact:
        before = max(0, after - made)
    elif after is None and before is not None and is_exact:
        after = before + made
    chosen, in_doubt = _choose(ends, may_be, made, is_exact=is_exact)
    certain = [
        not in_doubt[at]
        and ((before is not None and not any(in_doubt[:at])) or (after is not None and not any(in_doubt[at + 1 :])))
        for at in range(len(ends))
    ]
    guess = max(0, (after if after is not None else now or 0) - made)
    return Counted(guess if before is None else before, chosen, certain, before is not None)


def _choose(ends: Sequence[End], may_be: list[bool], made: int, *, is_exact: bool) -> tuple[list[bool], list[bool]]:
    """Which ends were the attempts made, the newest first where there is a choice; and which are in doubt."""
    sure = [end.is_attempt for end in ends]
    if is_exact and made in (sum(sure), sum(may_be)):
        return (may_be if made == sum(may_be) else sure), [False] * len(ends)
    open_to_choice = [at for at, may in enumerate(may_be) if may and not sure[at]]
    chosen = set(open_to_choice[len(open_to_choice) - (made - sum(sure)) :])
    return [is_sure or at in chosen for at, is_sure in enumerate(sure)], [
        at in open_to_choice for at in range(len(ends))
    ]


@dataclass(frozen=True, slots=True)
class Failure:
    """What one failed attempt left. is_certain False: the hash no longer tells which error was this attempt's."""

    error: str = ""
    error_type: str = ""
    stack: tuple[str, ...] = ()
    is_certain: bool = True


UNKNOWN = Failure(is_certain=False)


def failure(attempt: int, job: JobHash | None, reason: str | None = None, stacks_before: int | None = None) -> Failure:
    """The error of a failed attempt (1-based).

    reason: the final one's, which the event itself holds. stacks_before: how many stacks the hash held before this
    attempt ended, when that is known.
    """
    if job is None:
        return UNKNOWN if reason is None else Failure(error=reason)
    behind = job.failures - attempt
    newest = job.failed_reason if behind <= 0 and job.failed_reason != STALLED_TOO_OFTEN else None
    known = reason if reason is not None else newest
    if job.failures > len(job.stacks) and not job.has_stack_limit:
        return _misaligned(job, reason, known, stacks_before)
    at = len(job.stacks) - 1 - behind
    text = job.stacks[at] if 0 <= at < len(job.stacks) else ""
    is_exact = job.failures == len(job.stacks) and not job.has_stack_limit
    if known is not None and not is_exact and known not in text:
        text = ""  # what was thrown had no stack: this one is another attempt's
    return UNKNOWN if known is None and not text else _failure(text, known)


def _misaligned(job: JobHash, reason: str | None, known: str | None, stacks_before: int | None) -> Failure:
    """Something without a stack was thrown by an attempt: positions mean nothing, only the newest can be told.

    A text thrown (`throw 'no'`) leaves the reason of the attempt before in the hash: only a stack that was not there
    before, or a reason that no stack holds, is this attempt's.
    """
    newest = job.stacks[-1] if job.stacks else ""
    if reason is not None:
        return _failure(newest if _says(newest, reason) else "", reason)
    if known is None:
        return UNKNOWN
    if stacks_before is not None and len(job.stacks) > stacks_before:
        return _failure(newest, known)
    if job.failures - len(job.stacks) == 1 and known not in newest:
        return _failure("", known)
    return UNKNOWN


def _says(stack: str, message: str) -> bool:
    """Whether a stack's header holds exactly this message."""
    name, colon, rest = stack.partition(f": {message}")
    return bool(colon) and "\n" not in name and rest[:1] in ("", "\n")


def _failure(text: str, known: str | None) -> Failure:
    error_type, message, frames = split_stack(text, known)
    return Failure(message, error_type, frames)


def split_stack(text: str, message: str | None = None) -> tuple[str, str, tuple[str, ...]]:
    """`Name: message\\n    at frame…` -> (name, message, frames), newest call first.

    message: given when known, since a message may have many lines, and lines that look like frames. A Python traceback
    is turned round.
    """
    if text.startswith("Traceback (most recent call last)"):
        return _split_traceback(text, message)
    name, colon, rest = text.partition(f": {message}") if message else ("", "", "")
    if colon and "\n" not in name:
        return name, message or "", _frames(rest)
    found = _FRAME.search(text)
    header = (text[: found.start()] if found else text).rstrip("\n")
    named = _HEADER.match(header)
    said = header[named.end() :] if named else header
    frames = _frames(text[found.start() :]) if found else ()
    return named.group(1) if named else "", said if message is None else message, frames


def _frames(text: str) -> tuple[str, ...]:
    found = _FRAME.search(text)
    lines = text[found.start() :].split("\n", MAX_FRAMES)[:MAX_FRAMES] if found else []
    return tuple(line.strip() for line in lines if line.strip())


def _split_traceback(text: str, message: str | None) -> tuple[str, str, tuple[str, ...]]:
    lines = [line for line in text.splitlines() if line.strip()]
    frames = [line.strip() for line in lines if line.lstrip().startswith("File ")]
    name, _, said = lines[-1].strip().partition(": ")
    return name.rsplit(".", 1)[-1], said if message is None else message, tuple(reversed(frames))[:MAX_FRAMES]
