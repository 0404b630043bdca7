"""Which runs were attempts, and whose error is whose: the rules measured on BullMQ 5 and 6."""

import pytest
from msgspec.structs import replace

from bridge.sources.bullmq.attempts import MAX_FRAMES, End, Failure, count, failure, split_stack
from bridge.sources.bullmq.enrich import FIELDS, JobHash, parse

C, F, D, W, S = End.COMPLETED, End.FAILED, End.TO_DELAYED, End.TO_WAITING, End.STALLED
RETRIED, HANDED_BACK, OUT = End.RETRIED, End.HANDED_BACK, End.STALLED_OUT


def stack(message: str, name: str = "Error", *, file: str = "job.js") -> str:
    return f"{name}: {message}\n    at work ({file}:1:2)\n    at run (worker.js:3:4)"


@pytest.mark.parametrize(
    ("ends", "before", "now", "waits", "expected"),
    [
        ([C], 0, 1, False, [True]),
        ([F], 2, 3, False, [True]),
        ([W], 0, 1, False, [True]),
        ([W], 0, 0, False, [False]),
        ([W, W, F], 0, 3, False, [True, True, True]),
        ([W, W, C], 0, 2, False, [False, True, True]),
        ([D], 0, 1, True, [True]),
        ([D], 0, 0, True, [False]),
        ([D], 0, 1, False, [False]),
        ([D, C], 0, 1, False, [False, True]),
        ([W], 1, 2, True, [False]),
        ([W, D, F], 0, 2, True, [False, True, True]),
        ([S], 0, 0, False, [False]),
        ([S, S, F], 0, 1, False, [False, False, True]),
        ([W], 0, 5, False, [True]),
        ([D, D], 0, 2, None, [True, True]),
        ([W, D], 0, 2, None, [True, True]),
    ],
)
def test_hash_says_which_ends_counted(
    ends: list[End], before: int, now: int, waits: bool | None, expected: list[bool]
) -> None:
    counted = count(ends, before=before, now=now, waits_to_retry=waits)

    assert (counted.before, counted.are_attempts) == (before, expected)


@pytest.mark.parametrize("backoff", [None, 0, {"type": "fixed", "delay": 0}])
def test_without_backoff_a_delay_is_never_a_retry(backoff: object) -> None:
    assert hash_of(backoff=backoff).waits_to_retry is False


@pytest.mark.parametrize("backoff", [5, {"type": "fixed", "delay": 50}, {"type": "exponential", "delay": 1}])
def test_with_backoff_a_retry_is_always_a_delay(backoff: object) -> None:
    assert hash_of(backoff=backoff).waits_to_retry is True


@pytest.mark.parametrize("backoff", [{"type": "mine"}, {"type": "fixed", "delay": 50, "jitter": 0.5}])
def test_a_strategy_of_the_apps_own_may_do_either(backoff: object) -> None:
    assert hash_of(backoff=backoff).waits_to_retry is None


def hash_of(backoff: object) -> JobHash:
    import json

    fields: dict[str, str] = {"name": "n", "timestamp": "5", "opts": json.dumps({"attempts": 3, "backoff": backoff})}
    names = ("name", "timestamp", "opts")
    found = parse([[fields[name].encode() for name in names] + [None] * (len(FIELDS) - len(names)), 0])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("ends", "before", "now", "later", "expected"),
    [
        ([W], 0, 1, 1, [False]),
        ([W], 0, 2, 1, [True]),
        ([W, W], 0, 1, 2, [False, False]),
        ([D], 1, 1, 1, [True]),
        ([F], 2, 5, 2, [True]),
        ([W, F], 0, 3, 2, [False, False]),
        ([C], 0, 1, None, [True]),
        ([W], 0, 1, None, [False]),
        ([W], None, 1, None, [False]),
        ([F], None, 3, 0, [True]),
        ([F], None, 3, 1, [False]),
        ([S, C], None, 2, 0, [True, True]),
        ([W, C], None, 2, 0, [False, True]),
        ([RETRIED, HANDED_BACK], 0, 1, 0, [True, True]),
        ([RETRIED, HANDED_BACK], 0, 5, None, [True, True]),
        ([RETRIED, OUT], 0, 1, 0, [True, True]),
        ([W], 0, 7, 1, [False]),
    ],
)
def test_what_later_runs_may_have_counted_is_no_certainty(
    ends: list[End], before: int | None, now: int, later: int | None, expected: list[bool]
) -> None:
    """later: runs that may have ended between these ends and the reading of the hash."""
    assert count(ends, before=before, now=now, later=later, waits_to_retry=None).are_certain == expected


def test_a_job_completed_since_counted_that_attempt_itself() -> None:
    handed_back = count([W], before=0, now=1, waits_to_retry=False, later=1, later_made=1)
    assert (handed_back.are_attempts, handed_back.are_certain) == ([False], [True])

    retried = count([W], before=0, now=2, waits_to_retry=False, later=1, later_made=1)
    assert (retried.are_attempts, retried.are_certain) == ([True], [True])


def test_where_every_run_was_counted_each_was_an_attempt() -> None:
    counted = count([W, S, W], before=0, now=4, later=2, waits_to_retry=None, is_every_run_counted=True)

    assert (counted.are_attempts, counted.are_certain) == ([True, False, True], [True] * 3)


def test_reason_of_the_stall_checker_is_no_attempts_own() -> None:
    """BullMQ 5.40 and older count no attempt for it."""
    job = JobHash(attempts_made=1, failed_reason="job stalled more than allowable limit", stacks=[stack("first")])

    assert failure(1, job).error == "first"


def test_number_of_attempts_is_right_where_it_is_a_guess_which_they_were() -> None:
    counted = count([W, W, W], before=0, now=2, waits_to_retry=False)

    assert sum(counted.are_attempts) == 2
    assert not counted.is_certain
    assert count([W, W], before=0, now=2, waits_to_retry=False).is_certain


def test_attempts_before_are_read_from_the_hash_where_memory_is_gone() -> None:
    assert count([W, F], before=None, now=5, waits_to_retry=False).before == 3
    assert count([S], before=None, now=5, waits_to_retry=False).before == 5


def test_no_more_runs_were_attempts_than_the_hash_counted() -> None:
    """Else the last one is told under a number that it never had, and as certain."""
    counted = count([W, W, C], before=None, now=2, waits_to_retry=None)
    assert counted.before + sum(counted.are_attempts) == 2
    assert counted.are_attempts[-1]


def test_attempts_reset_by_hand_begin_at_one_again() -> None:
    counted = count([C], before=3, now=1, waits_to_retry=False)

    assert (counted.before, counted.are_attempts) == (0, [True])


def test_hash_that_is_gone_lets_what_looks_like_a_retry_be_one() -> None:
    counted = count([S, W, D, F], before=1, now=None, waits_to_retry=None)

    assert (counted.before, counted.are_attempts, counted.is_certain) == (1, [False, True, True, True], False)
    assert count([D, C], before=0, now=None, waits_to_retry=False).are_attempts == [False, True]


def test_failed_attempt_read_at_once_has_its_own_error() -> None:
    job = JobHash(attempts_made=2, failed_reason="second", stacks=[stack("first"), stack("second", "TypeError")])

    assert failure(2, job) == Failure("second", "TypeError", ("at work (job.js:1:2)", "at run (worker.js:3:4)"))


def test_failed_attempt_read_late_has_its_own_error_still() -> None:
    stacks = [stack("first"), stack("second", "TypeError"), stack("third", "RangeError")]
    job = JobHash(attempts_made=3, failed_reason="third", stacks=stacks)

    assert [failure(n, job).error for n in (1, 2, 3)] == ["first", "second", "third"]
    assert [failure(n, job).error_type for n in (1, 2, 3)] == ["Error", "TypeError", "RangeError"]


def test_completed_job_keeps_the_errors_of_its_failed_attempts() -> None:
    job = JobHash(attempts_made=3, is_completed=True, failed_reason="second", stacks=[stack("first"), stack("second")])

    assert [failure(n, job).error for n in (1, 2)] == ["first", "second"]


def test_older_stacks_that_were_cut_leave_their_attempts_unknown() -> None:
    job = JobHash(attempts_made=3, failed_reason="third", stacks=[stack("third")], has_stack_limit=True)

    assert failure(3, job).error_type == "Error"
    assert [failure(n, job).is_certain for n in (1, 2, 3)] == [False, False, True]


def test_without_any_stacks_kept_the_newest_reason_is_known() -> None:
    job = JobHash(attempts_made=2, failed_reason="second", stacks=[], has_stack_limit=True)

    assert failure(2, job) == Failure("second")
    assert not failure(1, job).is_certain


def test_stacks_of_an_earlier_life_are_behind_those_of_this_one() -> None:
    stacks = [stack("old one"), stack("old two"), stack("new one")]
    job = JobHash(attempts_made=1, failed_reason="new one", stacks=stacks)

    assert failure(1, job).error == "new one"


def test_text_thrown_does_not_look_like_the_error_before_again() -> None:
    """`throw 'no'` writes neither reason nor stack: the hash still shows the attempt before."""
    job = JobHash(attempts_made=2, failed_reason="first", stacks=[stack("first")])

    assert failure(2, job, stacks_before=1) == Failure(is_certain=False)
    assert failure(2, job) == Failure(is_certain=False)


def test_error_after_a_text_thrown_is_known_by_its_new_stack() -> None:
    job = JobHash(attempts_made=2, failed_reason="second", stacks=[stack("second")])

    assert failure(2, job, stacks_before=0).error == "second"
    assert failure(2, job, stacks_before=0).stack
    assert not failure(1, job).is_certain


def test_object_thrown_with_a_message_has_that_and_no_stack() -> None:
    job = JobHash(attempts_made=2, failed_reason="only m", stacks=[stack("first")])

    assert failure(2, job, stacks_before=1) == Failure("only m")


def test_first_text_thrown_leaves_nothing() -> None:
    assert failure(1, JobHash(attempts_made=1)) == Failure(is_certain=False)


def test_final_reason_is_the_events_own() -> None:
    job = JobHash(attempts_made=3, failed_reason="other", stacks=[stack("a"), stack("b"), stack("last words")])

    assert failure(3, job, "last words").stack
    assert failure(3, None, "last words") == Failure("last words")
    assert failure(3, replace(job, stacks=[stack("a")]), "null") == Failure("null")


def test_reason_null_takes_no_stack_of_an_error_that_mentions_null() -> None:
    job = JobHash(attempts_made=2, failed_reason="x", stacks=[stack("null pointer")])

    assert failure(2, job, "null") == Failure("null")
    assert failure(2, replace(job, stacks=[stack("null")]), "null").stack


def test_message_changed_after_the_stack_was_taken_keeps_the_stack() -> None:
    job = JobHash(attempts_made=1, failed_reason="while sending: refused", stacks=[stack("refused", "NetError")])

    assert failure(1, job) == Failure(
        "while sending: refused", "NetError", ("at work (job.js:1:2)", "at run (worker.js:3:4)")
    )


def test_hash_that_is_gone_leaves_a_retry_unknown() -> None:
    assert failure(1, None) == Failure(is_certain=False)


@pytest.mark.parametrize(
    ("text", "message", "expected"),
    [
        ("Error: m\n    at a (b:1:2)", None, ("Error", "m", ("at a (b:1:2)",))),
        ("Error\n    at a (b:1:2)", "", ("Error", "", ("at a (b:1:2)",))),
        ("E: one\ntwo\n    at a (b:1:2)", None, ("E", "one\ntwo", ("at a (b:1:2)",))),
        ("E: x\n    at noon\n    at a (b:1:2)", "x\n    at noon", ("E", "x\n    at noon", ("at a (b:1:2)",))),
        ("My Odd-Error: m\n    at a (b:1:2)", "m", ("My Odd-Error", "m", ("at a (b:1:2)",))),
        ("TypeError [ERR_X]: m", None, ("TypeError [ERR_X]", "m", ())),
        ("no header at all", None, ("", "no header at all", ())),
        ("", "m", ("", "m", ())),
        ("only: text", "other", ("only", "other", ())),
    ],
)
def test_stack_is_split(text: str, message: str | None, expected: tuple[str, str, tuple[str, ...]]) -> None:
    assert split_stack(text, message) == expected


def test_python_traceback_is_turned_round() -> None:
    text = (
        "Traceback (most recent call last):\n"
        '  File "/app/worker.py", line 3, in run\n    work()\n'
        '  File "/app/job.py", line 9, in work\n    raise shop.Refused("no")\n'
        "shop.Refused: no\n"
    )

    assert split_stack(text) == (
        "Refused",
        "no",
        ('File "/app/job.py", line 9, in work', 'File "/app/worker.py", line 3, in run'),
    )


def test_endless_stack_has_its_newest_frames() -> None:
    frames = split_stack("E: m\n" + "    at a (b:1:2)\n" * 10_000, "m")[2]

    assert len(frames) == MAX_FRAMES


@pytest.mark.parametrize("text", ["\n" * 5_000_000, " " * 5_000_000, "    at " * 700_000, "E: " * 1_000_000])
def test_hostile_stack_takes_no_time(text: str) -> None:
    import time

    begun = time.process_time()
    split_stack(text)
    split_stack(text, "m")
    assert time.process_time() - begun < 1
