"""BullMQ's sequences, one by one, as records: live (a batch an event) and late (one batch, the hash of its end)."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.records import Records
from bridge.sources.bullmq import enrich, translate
from bridge.sources.bullmq.enrich import JobHash, parse
from bridge.sources.bullmq.memory import QueueMemory
from bridge.sources.bullmq.stream import Position, Reading
from tests.unit.bridge.entries import PLACE, Stream, entry_of, failed, shape
from tocsin.events import JobEvent, Level, State, decode
from tocsin.topics import Topics

DONE = failed("one", "two", made=3, started=3, is_completed=True, waits=True)


def test_retries_with_backoff_read_late() -> None:
    stream = Stream()
    entries = stream.entries(
        "added/send", "waiting", "active/waiting", "delayed/5000", "waiting/delayed", "active/waiting", "delayed/9000",
        "waiting/delayed", "active/waiting", "completed/42/active",
    )  # fmt: skip
    events = stream.tell(*entries, hashes={"1": DONE})

    assert shape(events) == [
        ("added", "waiting", 0, ""),
        ("waiting", "waiting", 0, ""),
        ("active", "active", 1, ""),
        ("delayed", "retrying", 1, "one"),
        ("waiting", "waiting", 1, ""),
        ("active", "active", 2, ""),
        ("delayed", "retrying", 2, "two"),
        ("waiting", "waiting", 2, ""),
        ("active", "active", 3, ""),
        ("completed", "completed", 3, ""),
    ]
    retry = events[3]
    assert (retry.prev, retry.delay_until, retry.error_type, retry.stack) == (
        "active",
        5000,
        "Error",
        ["at work (job.js:1:2)"],
    )
    assert (retry.started_at, retry.ended_at, retry.run_ms, retry.level) == (3000, 4000, 1000, Level.WARN)
    assert (events[-1].result, events[-1].run_ms, events[2].wait_ms) == ("42", 1000, 1000)
    assert {event.job_name for event in events} == {"send"}
    assert {event.max_attempts for event in events} == {3}
    assert all(event.enriched for event in events)


def test_retries_without_backoff_read_live() -> None:
    stream = Stream()
    told: list[JobEvent] = []
    for entry, job in zip(
        stream.entries("added/send", "waiting", "active", "waiting/active", "active", "failed/two/active"),
        [failed(), failed(), failed(), failed("one"), failed("one"), failed("one", "two")],
        strict=True,
    ):
        told += stream.tell(entry, hashes={"1": job})

    assert shape(told)[2:] == [
        ("active", "active", 1, ""),
        ("waiting", "retrying", 1, "one"),
        ("active", "active", 2, ""),
        ("failed", "failed", 2, "two"),
    ]
    assert told[3].fingerprint == told[5].fingerprint != ""


def test_exhausted_job_says_so_after_its_failure() -> None:
    stream = Stream()
    events = stream.tell(
        *stream.entries("added/send", "waiting", "active", "failed/one/active", "retries-exhausted/1", "drained"),
        hashes={"1": failed("one")},
    )

    assert shape(events)[3:5] == [("failed", "failed", 1, "one"), ("retries-exhausted", "failed", 1, "")]
    assert (events[3].level, events[4].level) == (Level.ERROR, Level.ERROR)


def test_stall_is_no_attempt() -> None:
    stream = Stream()
    events = stream.tell(
        *stream.entries("added/send", "waiting", "active", "waiting/active", "stalled", "active", "completed/1/active"),
        hashes={"1": JobHash(name="send", added_at=900, attempts_made=1, is_completed=True)},
    )

    assert shape(events)[2:] == [
        ("active", "active", 1, ""),
        ("waiting", "waiting", 1, ""),
        ("stalled", "stalled", 1, ""),
        ("active", "active", 1, ""),
        ("completed", "completed", 1, ""),
    ]


def test_stall_of_one_job_says_nothing_of_another() -> None:
    stream = Stream()
    events = stream.tell(
        *stream.entries("1:active", "2:active", "1:waiting/active", "2:waiting/active", "2:stalled"),
        hashes={"1": failed("one"), "2": failed()},
    )

    assert [str(event.state) for event in events] == ["active", "active", "retrying", "waiting", "stalled"]


def test_full_reading_that_ends_between_waiting_and_stalled_waits_for_the_rest() -> None:
    stream = Stream()
    assert translate.is_cut_short(stream.entries("active", "waiting/active"))
    assert not translate.is_cut_short(stream.entries("active", "waiting/delayed"))


def test_job_moved_to_delayed_by_itself_is_no_attempt() -> None:
    stream = Stream()
    events = stream.tell(
        *stream.entries("added/send", "waiting", "active", "delayed/9", "waiting/delayed", "active", "completed/1"),
        hashes={"1": JobHash(attempts_made=1, is_completed=True, waits_to_retry=False)},
    )

    assert [(event.event, event.attempt) for event in events][2:] == [
        ("active", 1),
        ("delayed", 1),
        ("waiting", 0),
        ("active", 1),
        ("completed", 1),
    ]
    assert str(events[3].state) == "delayed"


def test_rate_limited_run_read_at_once_is_no_attempt() -> None:
    stream = Stream()
    stream.tell(*stream.entries("added/send", "waiting", "active"), hashes={"1": failed()})
    events = stream.tell(*stream.entries("waiting/active"), hashes={"1": failed()})

    assert (str(events[0].state), events[0].enriched) == ("waiting", True)


def test_new_delayed_job_and_one_whose_delay_was_changed_are_no_retries() -> None:
    stream = Stream()
    events = stream.tell(*stream.entries("added/send", "delayed/5", "delayed/9"), hashes={"1": failed("late")})

    assert [str(event.state) for event in events] == ["waiting", "delayed", "delayed"]


def test_retry_by_hand_goes_on_counting() -> None:
    stream = Stream()
    stream.tell(*stream.entries("added/send", "waiting", "active", "failed/one"), hashes={"1": failed("one")})
    stream.tell(*stream.entries("waiting/failed"), hashes={"1": failed("one")})
    events = stream.tell(*stream.entries("active", "failed/two"), hashes={"1": failed("one", "two")})

    assert shape(events) == [("active", "active", 2, ""), ("failed", "failed", 2, "two")]


def test_retry_by_hand_in_one_late_batch_goes_on_counting() -> None:
    stream = Stream()
    events = stream.tell(
        *stream.entries("added/send", "waiting", "active", "failed/one", "waiting/failed", "active", "completed/1"),
        hashes={"1": failed("one", made=2, is_completed=True)},
    )

    assert [(event.event, event.attempt) for event in events][2:] == [
        ("active", 1),
        ("failed", 1),
        ("waiting", 1),
        ("active", 2),
        ("completed", 2),
    ]


@pytest.mark.parametrize("late", [False, True])
def test_attempts_reset_by_a_retry_by_hand_begin_at_one(late: bool) -> None:
    stream = Stream()
    first = stream.entries("added/send", "waiting", "active", "delayed/1", "waiting/delayed", "active", "failed/two")
    again = stream.entries("waiting/failed", "active", "completed/1")
    after = JobHash(name="send", added_at=900, attempts_made=1, is_completed=True, waits_to_retry=True)
    if late:
        events = stream.tell(*first, *again, hashes={"1": after})
        assert events[6].error == "two"
    else:
        stream.tell(*first, hashes={"1": failed("one", "two", waits=True)})
        events = stream.tell(again[0], hashes={"1": failed("one", "two", made=0, waits=True)})
        events += stream.tell(*again[1:], hashes={"1": after})

    assert [(event.event, event.attempt) for event in events][-2:] == [("active", 1), ("completed", 1)]


def test_id_used_again_has_a_new_life() -> None:
    stream = Stream()
    stream.tell(*stream.entries("added/old", "waiting", "active", "failed/one"), hashes={"1": failed("one")})
    events = stream.tell(
        *stream.entries("removed/failed", "added/new", "waiting", "active", "completed/1"),
        hashes={"1": JobHash(name="new", added_at=5000, attempts_made=1, is_completed=True)},
    )

    assert [(event.event, event.job_name, event.attempt) for event in events] == [
        ("removed", "old", 1),
        ("added", "new", 0),
        ("waiting", "new", 0),
        ("active", "new", 1),
        ("completed", "new", 1),
    ]
    assert events[-1].added_at == 5000


def test_two_lives_in_one_batch_are_told_apart() -> None:
    stream = Stream()
    events = stream.tell(
        *stream.entries("added/old", "waiting", "active", "waiting/active", "active", "failed/gone/active"),
        *stream.entries("retries-exhausted/2", "removed/failed", "added/new", "waiting", "active", "completed/1"),
        hashes={"1": JobHash(name="new", added_at=5000, attempts_made=1, is_completed=True)},
    )

    assert [(event.event, event.job_name, event.attempt, event.enriched) for event in events] == [
        ("added", "old", 0, False),
        ("waiting", "old", 0, False),
        ("active", "old", 1, False),
        ("waiting", "old", 1, False),
        ("active", "old", 2, False),
        ("failed", "old", 2, False),
        ("retries-exhausted", "old", 2, True),
        ("removed", "old", 2, True),
        ("added", "new", 0, True),
        ("waiting", "new", 0, True),
        ("active", "new", 1, True),
        ("completed", "new", 1, True),
    ]
    assert (str(events[3].state), events[3].error) == ("retrying", "")


def test_hash_that_is_gone_is_told_and_keeps_what_the_event_says() -> None:
    stream = Stream()
    events = stream.tell(
        *stream.entries("added/send", "waiting", "active", "delayed/5", "waiting", "active", "failed/why/active"),
        hashes={"1": None},
    )

    assert [event.enriched for event in events] == [False] * 7
    assert shape(events)[3] == ("delayed", "retrying", 1, "")
    assert shape(events)[6] == ("failed", "failed", 2, "why")
    assert events[6].job_name == "send"


def test_events_of_the_queue_have_no_job() -> None:
    stream = Stream()
    events = stream.tell(entry_of("5-0", {"event": "paused"}), entry_of("6-0", {"event": "cleaned", "count": "7"}))

    assert [(e.event, e.job_id, str(e.state), e.enriched, e.data) for e in events] == [
        ("paused", "", "unknown", True, ""),
        ("cleaned", "", "unknown", True, '{"count":"7"}'),
    ]
    assert len(stream.memory) == 0


def test_unknown_events_and_fields_are_kept() -> None:
    stream = Stream()
    fields = {"event": "acme:shipped", "jobId": "9", "data": '{"to":"x"}', "carrier": "ü", "password": "hunter22"}
    events = stream.tell(entry_of("5-0", fields))

    assert (events[0].event, str(events[0].state), events[0].job_id) == ("acme:shipped", "unknown", "9")
    assert "hunter22" not in events[0].data
    assert json.loads(events[0].data)["carrier"] == "ü"
    deduplicated = {"event": "deduplicated", "jobId": "1", "deduplicationId": "d", "deduplicatedJobId": "2"}
    assert json.loads(stream.tell(entry_of("6-0", deduplicated))[0].data) == {
        "deduplicationId": "d",
        "deduplicatedJobId": "2",
    }


def test_fields_that_are_missing_are_empty() -> None:
    stream = Stream()
    entries = [entry_of(f"{n}-0", {"event": event}) for n, event in enumerate(sorted(translate.STATES), 1)]
    entries += [
        entry_of(f"{n}-1", {"event": event, "jobId": "1"}) for n, event in enumerate(sorted(translate.STATES), 1)
    ]

    assert len(stream.tell(*entries)) == len(entries)


def test_entry_without_an_event_is_bad() -> None:
    entries = [entry_of("1-0", {"jobId": "1"}), entry_of("2-0", {}), entry_of("3-0", {"event": ""})]
    told = translate.translate(PLACE, Reading(entries, Position()), entries, {}, QueueMemory())

    assert told.told == [translate.Bad(entry, "a stream entry without an `event` field") for entry in entries]
    assert (told.events, told.bad) == ([], 3)
    assert told.events == []


def test_progress_and_added_carry_their_payload_once() -> None:
    stream = Stream()
    job = JobHash(name="send", added_at=900, data='{"to":"x"}')
    events = stream.tell(*stream.entries("added/send", "waiting", "progress/50"), hashes={"1": job})

    assert [event.data for event in events] == ['{"to":"x"}', "", ""]
    assert (events[2].progress, events[2].level) == ("50", Level.DEBUG)


@pytest.mark.parametrize("is_lost", [False, True])
@pytest.mark.parametrize("is_one_batch", [False, True])
def test_progress_does_not_hide_that_a_run_failed_whose_begin_was_not_read(is_lost: bool, is_one_batch: bool) -> None:
    """Nothing is known of the job yet, or entries were lost since; its first attempt fails, and it is delayed."""
    stream = Stream()
    if is_lost:
        stream.tell(*stream.entries("added/send", "waiting"), hashes={"1": failed()})
        stream.memory.doubt()
    job, (progress, delayed) = failed("boom", started=1, waits=True), stream.entries("progress/1", "delayed/500")
    batches = [[progress, delayed]] if is_one_batch else [[progress], [delayed]]
    events = [event for batch in batches for event in stream.tell(*batch, hashes={"1": job})]
    assert shape(events)[1:] == [("delayed", "retrying", 1, "boom")]


def test_progress_is_no_reason_to_remember_a_job() -> None:
    stream = Stream()
    stream.tell(*stream.entries("progress/1"))
    translate.remember(stream.entries("progress/2"), stream.memory)
    assert "1" not in stream.memory


def test_progress_makes_only_a_job_that_runs_active() -> None:
    """Anybody may update it: of a job that waits, or after its end."""
    stream = Stream()
    entries = stream.entries(
        "added/send", "waiting", "progress/1", "active", "progress/2", "completed/42", "progress/3"
    )
    events = stream.tell(*entries, hashes={"1": failed(made=1, started=1, is_completed=True)})

    states = [(event.progress, event.state) for event in events if event.event == "progress"]
    assert states == [("1", State.UNKNOWN), ("2", State.ACTIVE), ("3", State.UNKNOWN)]


def test_attempts_of_a_job_that_is_gone_go_on_from_the_guess() -> None:
    """Its hash was removed before any end of its was read: the numbers are the best guess, and go on growing."""
    stream = Stream()
    told: list[JobEvent] = []
    for entry in stream.entries("added/send", "waiting", "active", "delayed/5000", "waiting/delayed", "active"):
        told += stream.tell(entry, hashes={"1": None})
    told += stream.tell(*stream.entries("completed/42/active"), hashes={"1": None})

    ends = [(event.attempt, event.state) for event in told if event.event in ("delayed", "completed")]
    assert ends == [(1, State.RETRYING), (2, State.COMPLETED)]


def test_due_delay_of_a_job_never_seen_ends_no_run() -> None:
    """What came before was lost. The first run was put off, the next one failed, the last one completed."""
    stream = Stream()
    entries = stream.entries("waiting/delayed", "active", "waiting/active", "active", "completed/42/active")
    events = stream.tell(*entries, hashes={"1": failed("one", made=2, started=3, is_completed=True, waits=None)})

    assert (events[0].state, events[0].error) == (State.WAITING, "")
    assert [(event.attempt, event.state) for event in events[2:] if event.event != "active"] == [
        (1, State.RETRYING),
        (2, State.COMPLETED),
    ]


def test_removed_job_is_forgotten() -> None:
    stream = Stream()
    stream.tell(*stream.entries("added/send", "waiting"), hashes={"1": failed()})
    events = stream.tell(*stream.entries("removed/wait"))

    assert (str(events[0].state), events[0].job_name, events[0].prev) == ("removed", "send", "wait")
    assert "1" not in stream.memory


def test_what_was_there_before_tocsin_is_backfill() -> None:
    stream = Stream()
    entries = stream.entries("added/a", "waiting", "active")
    events = stream.tell(*entries, position=Position(baseline_id="2000-0"))

    assert [event.backfill for event in events] == [True, True, False]


def test_memory_primed_from_the_stream_knows_what_runs() -> None:
    stream = Stream()
    translate.remember(
        stream.entries("added/send", "waiting", "active", "delayed/5", "waiting", "active"), stream.memory
    )
    events = stream.tell(*stream.entries("delayed/9"), hashes={"1": failed("one", "two", waits=True)})

    assert shape(events) == [("delayed", "retrying", 2, "two")]
    assert events[0].job_name == "send"


@pytest.mark.parametrize(
    ("waits", "made", "shown"), [(True, 2, (2, "completed")), (False, 3, (3, "completed")), (None, 4, (4, "completed"))]
)
def test_what_was_relayed_before_a_restart_is_counted_by_the_jobs_options(
    waits: bool | None, made: int, shown: tuple[int, str]
) -> None:
    """One delay, two hand-backs and a stall: only the backoff tells which of them were failures."""
    stream = Stream()
    relayed = ["added/send", "waiting", "active", "delayed/5", "waiting/delayed", "active", "waiting/active", "active"]
    relayed += ["waiting/active", "stalled", "active", "waiting/active", "active"]
    translate.remember(stream.entries(*relayed), stream.memory)
    job = failed(*["one"] * (made - 1), made=made, waits=waits, is_completed=True)
    events = stream.tell(*stream.entries("completed/1"), hashes={"1": job})

    assert (events[0].attempt, events[0].event) == shown


@pytest.mark.parametrize(("waits", "retry"), [(True, ["delayed/9", "waiting/delayed"]), (False, ["waiting/active"])])
@pytest.mark.parametrize("relayed", range(1, 8))
def test_job_that_was_exhausted_while_no_bridge_ran_keeps_every_attempts_error(
    waits: bool, retry: list[str], relayed: int
) -> None:
    """Wherever it was killed: every run was counted, so none was handed back."""
    stream = Stream()
    entries = stream.entries(
        "added/send", "waiting", "active", *retry, "active", *retry, "active", "failed/three/active",
        "retries-exhausted/3",
    )  # fmt: skip
    translate.remember(entries[:relayed], stream.memory)
    job = failed("one", "two", "three", started=3, waits=waits)
    events = stream.tell(*entries[relayed:], hashes={"1": job})

    assert all(event.enriched for event in events)
    attempts = [(event.attempt, event.error) for event in events if event.error]
    assert attempts == [(1, "one"), (2, "two"), (3, "three")][-len(attempts) :]


def test_delay_of_a_job_never_seen_that_has_failed_is_its_retry() -> None:
    """Its `active` was lost in a gap."""
    stream = Stream()
    events = stream.tell(*stream.entries("delayed/9"), hashes={"1": failed("one", "two", waits=True)})

    assert shape(events) == [("delayed", "retrying", 2, "two")]
    assert str(stream.tell(*stream.entries("2:delayed/9"), hashes={"2": failed()})[0].state) == "delayed"


def test_trace_parent_scheduler_and_worker_are_told() -> None:
    stream = Stream()
    telemetry = json.dumps({"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"})
    fields: dict[str, str] = {
        "name": "send", "timestamp": "900", "opts": json.dumps({"attempts": 2, "tm": telemetry, "kl": 5}),
        "ats": "1", "pb": "worker-7", "parentKey": "bull:parents:1", "rjk": "every-minute",
    }  # fmt: skip
    values = [fields[name].encode() if name in fields else None for name in enrich.FIELDS]
    events = stream.tell(*stream.entries("active"), hashes={"1": parse([values, 0])})

    assert (events[0].trace_id, events[0].parent, events[0].scheduler, events[0].worker) == (
        "ab" * 16,
        "bull:parents:1",
        "every-minute",
        "worker-7",
    )


def test_old_versions_without_prev_are_understood() -> None:
    """5.0: a retry says prev=failed, ends have no prev; 4.18: attemptsMade instead of atm."""
    stream = Stream()
    stream.tell(*stream.entries("added/send", "waiting", "active"), hashes={"1": failed()})
    events = stream.tell(*stream.entries("waiting/failed", "active", "failed/two"), hashes={"1": failed("one", "two")})

    assert shape(events) == [
        ("waiting", "retrying", 1, "one"),
        ("active", "active", 2, ""),
        ("failed", "failed", 2, "two"),
    ]


def test_retry_read_while_the_next_run_is_active_is_one_for_sure() -> None:
    stream = Stream()
    stream.tell(*stream.entries("added/send", "waiting", "active"), hashes={"1": failed(started=1)})
    [event] = stream.tell(*stream.entries("waiting/active"), hashes={"1": failed("one", started=2, is_running=True)})
    assert (str(event.state), event.attempt, event.enriched) == ("retrying", 1, True)


def test_run_handed_back_and_read_after_the_next_has_ended_is_told_as_unknown() -> None:
    stream = Stream()
    stream.tell(*stream.entries("added/send", "waiting", "active"), hashes={"1": failed(started=1)})
    [event] = stream.tell(*stream.entries("waiting/active"), hashes={"1": failed("one", started=2)})
    assert not event.enriched

    events = stream.tell(*stream.entries("active", "failed/one/active"), hashes={"1": failed("one", started=2)})
    assert [(event.attempt, event.enriched) for event in events] == [(1, True), (1, True)]


@pytest.mark.parametrize("is_completed", [True, False])
def test_run_handed_back_is_no_attempt_once_its_job_has_ended_by_another(is_completed: bool) -> None:
    stream = Stream()
    stream.tell(*stream.entries("added/send", "waiting", "active"), hashes={"1": failed(started=1)})
    late = replace(failed("one", made=1, started=2, is_completed=is_completed), finished_on=9_000)
    [event] = stream.tell(*stream.entries("waiting/active"), hashes={"1": late})
    assert (str(event.state), event.enriched) == ("waiting", True)


def test_worker_is_told_of_its_own_run_alone() -> None:
    """BullMQ 5.40, whose ends have no `prev`, may leave the first run's at later ones."""
    stream = Stream()
    stream.tell(
        *stream.entries("9:active", "9:completed/1"), hashes={"9": failed(made=1, started=1, is_completed=True)}
    )
    old = stream.tell(*stream.entries("9:waiting/completed", "9:active"), hashes={"9": failed(started=2, worker="one")})
    stream.tell(*stream.entries("9:completed/1/active"), hashes={"9": None})
    stream.tell(*stream.entries("added/send", "waiting"), hashes={"1": failed(started=0)})
    late = stream.tell(*stream.entries("active"), hashes={"1": failed("one", started=2, worker="second")})
    at_once = stream.tell(
        *stream.entries("waiting/failed", "active"), hashes={"1": failed("one", started=2, worker="second")}
    )
    gone = stream.tell(*stream.entries("completed/1"), hashes={"1": None})

    assert [event.worker for event in (*old, *late, *at_once, *gone)] == ["", "", "", "", "second", "second"]


def test_stall_checker_and_failed_child_of_old_versions_make_no_attempt() -> None:
    """BullMQ 5.40 and older: one `failed`, whose fields stand in an order of their own."""
    stream = Stream()
    stream.tell(*stream.entries("added/send", "waiting", "active"), hashes={"1": failed(started=1)})
    stream.tell(*stream.entries("waiting/failed", "active"), hashes={"1": failed("one", started=2, is_running=True)})
    reason = "job stalled more than allowable limit"
    out = entry_of("90000-0", {"event": "failed", "jobId": "1", "prev": "active", "failedReason": reason})
    job = failed("one", started=2, stalls=1)
    parent = entry_of(
        "91000-0", {"event": "failed", "jobId": "9", "failedReason": "child x failed", "prev": "waiting-children"}
    )
    events = stream.tell(out, parent, hashes={"1": job, "9": failed(started=0)})

    assert [(event.attempt, event.error, event.enriched) for event in events] == [
        (2, reason, True),
        (0, "child x failed", True),
    ]


WORDS = st.sampled_from([*translate.STATES, "drained", "paused", "cleaned", "duplicated", "mine", ""])
VALUES = st.sampled_from(["1", "active", "failed", "nan", "1e999", "-5", "{}", '"\\ud800"', "[[[", "\ufffd", "9" * 400])
FIELDS = st.sampled_from(["prev", "name", "delay", "returnvalue", "failedReason", "attemptsMade", "data", "x", "\0"])


def fields_of(event: str, job_id: str, more: dict[str, str]) -> dict[str, str]:
    return {**more, "event": event, **({"jobId": job_id} if job_id else {})}


ENTRIES = st.lists(
    st.builds(
        fields_of,
        WORDS,
        st.sampled_from(["", "1", "2", "a:b:c", "שלום %"]),
        st.dictionaries(FIELDS, VALUES | st.text(max_size=5), max_size=4),
    ),
    min_size=1,
    max_size=25,
)
HASH_TEXTS = st.none() | st.sampled_from(
    [
        "1",
        "3",
        "-1",
        "1e308",
        "x",
        "",
        '["Error: a\\n    at b (c:1:2)"]',
        '[1,{},"\\ud800"]',
        '{"attempts":1e300}',
        "[" * 3000,
    ]
)


@settings(max_examples=300, deadline=None)
@given(ENTRIES, st.lists(st.lists(HASH_TEXTS, min_size=15, max_size=15), min_size=2, max_size=2), st.integers(1, 5))
def test_whatever_an_app_writes_becomes_records(
    fields: list[dict[str, str]], hashes: list[list[str | None]], batch: int
) -> None:
    """No entry is dropped, none raises, each record is encoded and read again, and its id is its own."""
    entries = [entry_of(f"{at}-0", one) for at, one in enumerate(fields, 1)]
    found: dict[str, JobHash | None] = {"1": None, "שלום %": None}
    for job_id, values in zip(("2", "a:b:c"), hashes, strict=True):
        found[job_id] = parse([[None if value is None else value.encode() for value in values], 1])
    memory, records = QueueMemory(max_jobs=2), Records(Topics("t."))
    ids: set[str] = set()
    for start in range(0, len(entries), batch):
        some = entries[start : start + batch]
        told = translate.translate(PLACE, Reading(some, Position()), some, found, memory)
        assert len(told.told) == len(some)
        bad = [one for one in told.told if isinstance(one, translate.Bad)]
        assert told.bad == len(bad)
        for event in told.events:
            value = records.job(event).value
            assert value is not None
            assert decode(JobEvent, value) == event
            ids.add(event.id)
        for one in bad:
            assert one.reason == "a stream entry without an `event` field"
            assert records.dead_letter(PLACE, one, 1).value
            ids.add(one.entry.id)
    assert len(ids) == len(entries)


def test_an_attempt_lost_in_a_gap_is_counted_by_the_hash_of_what_follows() -> None:
    stream = Stream()
    stream.tell(*stream.entries("added/send", "waiting", "active/waiting"), hashes={"1": failed()})
    stream.tell(*stream.entries("delayed/9000"), hashes={"1": failed("one", waits=True)})
    stream.memory.doubt()  # its second attempt, and its return from the first, were trimmed

    events = stream.tell(
        *stream.entries("active/waiting", "failed/three/active"),
        hashes={"1": failed("one", "two", "three", waits=True)},
    )
    assert shape(events) == [("active", "active", 3, ""), ("failed", "failed", 3, "three")]


def test_a_job_whose_start_was_lost_in_a_gap_ends_its_attempt_all_the_same() -> None:
    stream = Stream()
    stream.tell(*stream.entries("added/send", "waiting"), hashes={"1": failed()})
    stream.memory.doubt()

    [event] = stream.tell(*stream.entries("delayed/9000"), hashes={"1": failed("one", waits=True)})
    assert shape([event]) == [("delayed", "retrying", 1, "one")]


@pytest.mark.parametrize(
    ("told", "since"),
    [
        (("added/send", "waiting"), 2000),
        (("added/send", "delayed/9000"), None),
        (("added/send", "delayed/9000", "waiting/delayed"), 3000),
        (("added/send", "waiting-children"), None),
        (("added/send", "waiting", "active", "delayed/9000"), None),
        (("added/send", "waiting", "active", "waiting/active", "stalled"), 4000),
        (("added/send", "waiting", "active", "failed/no", "waiting/failed"), 5000),
        (("added/send", "waiting", "progress/1"), 2000),
        (("added/send", "waiting", "removed/wait"), None),
    ],
)
def test_job_is_remembered_to_wait_since_it_was_ready(told: tuple[str, ...], since: int | None) -> None:
    stream = Stream()
    for entry in stream.entries(*told):
        stream.tell(entry)

    waiting = stream.memory.waiting("1")
    assert (waiting.waiting_since if waiting else None) == since
    assert stream.memory.longest_waiting == (None if since is None else "1")
