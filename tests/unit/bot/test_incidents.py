"""The incident machine."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bot.incidents.failures import MOST_WORKERS, NOT_STORED, OTHER_WORKERS, Key, Tally, bare, failing_frame, tally
from bot.incidents.late import MOST_KINDS, OTHER_KINDS, Late, add_late
from bot.incidents.machine import Call, Incident, Phase, Step, resolve, step
from bot.render.alert import alert_text, late_text
from bot.rules.policy import Policy
from tests.unit.bot.events import NOW_MS, failed
from tocsin.events import JobEvent, State

POLICY = Policy(stale_seconds=600, resolve_seconds=1800)
KEY = Key("prod", "main", "orders", "f1")


def count(*events: JobEvent, born_ms: int = 0, now_ms: int = NOW_MS, skew_ms: int = 0) -> dict[Key, Tally]:
    return tally(events, now_ms=now_ms, born_ms=born_ms, policy=POLICY, skew_ms={"main": skew_ms})


def apply(before: Incident | None, *events: JobEvent, now_ms: int = NOW_MS) -> Step:
    return step(KEY, before, count(*events, now_ms=now_ms)[KEY], now_ms=now_ms, policy=POLICY)


def test_first_failure_rings() -> None:
    done = apply(None, failed())
    assert done.call is Call.RING
    assert (done.incident.count, done.incident.episode, done.incident.phase) == (1, 1, Phase.NEW)


def test_more_of_the_same_only_edits_and_counts() -> None:
    done = apply(apply(None, failed()).incident, failed(error="a"), failed(error="newest"))
    assert done.call is Call.EDIT
    assert (done.incident.count, done.incident.phase) == (3, Phase.FIRING)
    assert done.incident.last.error == "newest"


def test_an_older_record_does_not_replace_the_last_failure() -> None:
    done = apply(apply(None, failed(error="new")).incident, failed(ago_ms=5000, error="old"))
    assert done.incident.last.error == "new"
    assert done.incident.first_ms == NOW_MS - 5000


def test_backfill_retries_and_completions_count_for_nothing() -> None:
    assert not count(
        failed(backfill=True),
        failed(state=State.RETRYING, event="retrying"),
        failed(event="retries-exhausted"),
        failed(event="completed", state=State.COMPLETED),
    )


def test_what_failed_before_the_first_start_is_the_past() -> None:
    assert not count(failed(ago_ms=10), born_ms=NOW_MS)
    assert count(failed(), born_ms=NOW_MS)


def test_a_stale_failure_goes_to_the_summary_and_the_next_fresh_one_rings() -> None:
    late = apply(None, failed(ago_ms=601_000))
    assert late.call is Call.SUMMARY
    assert apply(late.incident, failed(ago_ms=601_000)).call is Call.SUMMARY
    fresh = apply(late.incident, failed())
    assert fresh.call is Call.RING
    assert fresh.incident.count == 2


def test_a_redis_whose_clock_is_wrong_rings_all_the_same() -> None:
    behind = failed(ago_ms=900_000)
    late = count(behind, failed(ago_ms=901_000), born_ms=NOW_MS - 1000, skew_ms=900_000)[KEY]
    assert (late.is_fresh, late.failed_ms) == (True, NOW_MS)
    assert not count(failed(ago_ms=-900_000 + 601_000), skew_ms=-900_000)[KEY].is_fresh
    assert count(behind, failed(source="other", ago_ms=900_000), skew_ms=900_000)[KEY].last_ms == NOW_MS - 900_000


def test_stale_failures_of_an_incident_that_has_rung_edit_its_message() -> None:
    assert apply(apply(None, failed()).incident, failed(ago_ms=601_000)).call is Call.EDIT


def test_silence_resolves_and_the_next_failure_rings_anew_as_a_new_episode() -> None:
    firing = apply(None, failed(), failed()).incident
    assert resolve(firing, now_ms=NOW_MS + 9_000_000, heard_ms=NOW_MS + 1_799_000, policy=POLICY) is None
    quiet = resolve(firing, now_ms=NOW_MS + 1_800_000, heard_ms=NOW_MS + 1_800_000, policy=POLICY)
    assert quiet is not None
    assert resolve(quiet, now_ms=NOW_MS + 9_000_000, heard_ms=NOW_MS + 9_000_000, policy=POLICY) is None
    later = NOW_MS + 2_000_000
    again = apply(quiet, failed(ago_ms=-2_000_000), now_ms=later)
    assert (again.call, again.incident.phase) == (Call.RING, Phase.REGRESSED)
    assert (again.incident.episode, again.incident.count, again.incident.total) == (2, 1, 3)
    assert again.incident.previous_ms == NOW_MS


def test_without_a_fingerprint_type_and_job_name_tell_failures_apart() -> None:
    found = count(
        failed(fingerprint="", error_type="A"),
        failed(fingerprint="", error_type="B"),
        failed(fingerprint="", error_type="A"),
    )
    assert [one.count for one in found.values()] == [2, 1]


def test_sources_with_a_queue_of_the_same_name_never_merge() -> None:
    assert len(count(failed(source="a"), failed(source="b"), failed(env="staging"))) == 3


def test_text_that_postgres_cannot_hold_is_changed() -> None:
    [(key, one)] = count(failed(queue="a\0b", error="x" * 5000, job_id="\0")).items()
    assert key.queue == "a\ufffdb"
    assert len(one.last.error) == 2000
    assert one.last.job_id == "\ufffd"


@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(0, 1_200_000), st.booleans()), min_size=1, max_size=5), min_size=1, max_size=12
    )
)
def test_no_failure_is_ever_lost_and_each_episode_rings_at_most_once(batches: list[list[tuple[int, bool]]]) -> None:
    incident: Incident | None = None
    expected = rings = 0
    now_ms = NOW_MS
    for batch in batches:
        now_ms += 1000
        if incident is not None and batch[0][1]:
            incident = resolve(incident, now_ms=now_ms, heard_ms=now_ms + 10_000_000, policy=POLICY) or incident
        episode = incident.episode if incident and not incident.is_over else None
        done = apply(incident, *(failed(ago_ms=ago - (now_ms - NOW_MS)) for ago, _ in batch), now_ms=now_ms)
        expected += len(batch)
        rings = rings if done.incident.episode == episode else 0
        rings += done.call is Call.RING
        incident = replace(done.incident)
        assert incident.total == expected
        assert rings <= 1
        assert incident.has_rung == (rings == 1)


def test_a_summary_counts_all_kinds_but_names_a_bounded_number() -> None:
    late = Late()
    for number in range(MOST_KINDS + 50):
        key = Key("prod", "main", f"q{number}", "f")
        late = add_late(
            late, step(key, None, next(iter(count(failed(ago_ms=700_000)).values())), now_ms=NOW_MS, policy=POLICY)
        )
    assert late.failures == MOST_KINDS + 50
    assert sum(late.kinds.values()) == late.failures
    assert len(late.kinds) == MOST_KINDS + 1
    assert late.kinds[OTHER_KINDS] == 50
    assert "of more than 200 kinds" in late_text(late)


def test_a_key_fits_the_index_whatever_it_is_made_of() -> None:
    [key] = count(failed(env="🔥" * 900, source="🔥" * 900, queue="é" * 900, fingerprint="\0" * 900))
    assert sum(len(part.encode()) for part in key) <= 2400


def test_what_is_left_of_a_failure_still_says_where_it_was() -> None:
    event = bare(failed(queue="תור", error="\0", data="x"))
    [(key, one)] = count(event).items()
    assert key.queue == "\\u05ea\\u05d5\\u05e8"
    assert (one.last.job_id, one.last.error, event.data) == ("7", NOT_STORED, "")


def test_a_time_no_date_can_tell_is_the_last_one() -> None:
    [one] = count(failed(ts=10**30)).values()
    assert alert_text(step(KEY, None, one, now_ms=NOW_MS, policy=POLICY).incident)


def test_workers_are_counted_and_bounded() -> None:
    few = count(failed(worker="w-7"), failed(worker="w-7"), failed(worker="w-8"), failed())[KEY]
    assert few.workers == {"w-7": 2, "w-8": 1}
    many = count(*(failed(worker=f"w{number}") for number in range(MOST_WORKERS + 5)))[KEY]
    assert many.workers[OTHER_WORKERS] == 5
    assert apply(apply(None, failed(worker="a")).incident, failed(worker="a")).incident.workers == {"a": 2}


def test_the_frame_of_a_card_is_the_apps_own_and_short_enough_for_a_phone() -> None:
    stack = [
        "at Client.send (/srv/app/node_modules/pg/lib/client.js:5:7)",
        "at node:internal/process/task_queues:95:5",
        "at Worker.charge (file:///srv/app/releases/42/dist/jobs/charge.js:41:9)",
        "at main (/srv/app/index.js:1:1)",
    ]
    text = alert_text(apply(None, failed(stack=stack)).incident)
    assert "<code>at Worker.charge (…/jobs/charge.js:41:9)</code>" in text
    assert failing_frame(stack[:2]) == stack[0], "a library's is better than none"
    assert failing_frame([]) == ""
