"""What rings is a final failure seen live; what Tocsin finds out by looking never does."""

from dataclasses import replace

import pytest

from bot.incidents.failures import tally
from bot.incidents.machine import Call, Incident, Phase, end, step
from bot.render.alert import alert_text
from bot.rules.policy import Policy, is_final_failure, ringing
from tests.unit.bot.events import NOW_MS, failed
from tocsin.events import State


def test_failure_that_was_rebuilt_rings_like_any_other() -> None:
    assert is_final_failure(failed(rebuilt=True))


@pytest.mark.parametrize("event", ["reconciled", "gone", "gap", "stream-reset", "retries-exhausted"])
@pytest.mark.parametrize("state", [State.FAILED, State.REMOVED, State.UNKNOWN])
def test_what_tocsin_says_of_itself_never_rings(event: str, state: State) -> None:
    assert not is_final_failure(failed(event=event, state=state))


def test_lost_events_ring_and_say_how_many() -> None:
    gap = failed(event="gap", state=State.UNKNOWN, lost=1203, job_id="", error="", error_type="", fingerprint="")
    policy = Policy()
    [(key, seen)] = tally([gap, gap], now_ms=NOW_MS, born_ms=0, policy=policy, skew_ms={}).items()
    done = step(key, None, seen, now_ms=NOW_MS, policy=policy)
    assert (done.call, done.incident.count) == (Call.RING, 2406)
    text = alert_text(done.incident)
    assert text.startswith("🔴 prod · <b>orders</b> · Events lost <b>×2406</b> · new")
    assert "1203 events were trimmed" in text
    assert "job <code></code>" not in text
    assert ringing(failed(event="gap", lost=0)) is None
    assert ringing(failed(event="gap", lost=3, backfill=True)) is None
    assert ringing(failed(event="gap", lost=3), Policy(off=frozenset({"events-lost"}))) is None


def test_one_stalled_job_is_no_alarm_and_three_are() -> None:
    policy = Policy()
    incident: Incident | None = None
    calls: list[Call] = []
    for number in range(4):
        stalled = failed(event="stalled", state=State.STALLED, job_id=str(number), ago_ms=-number * 60_000)
        now_ms = NOW_MS + number * 60_000
        [(key, seen)] = tally([stalled], now_ms=now_ms, born_ms=0, policy=policy, skew_ms={}).items()
        done = step(key, incident, seen, now_ms=now_ms, policy=policy)
        incident = done.incident
        calls.append(done.call)
    assert calls == [Call.HUSH, Call.HUSH, Call.RING, Call.EDIT]
    assert ringing(failed(event="stalled"), Policy(off=frozenset({"stalled"}))) is None


def test_what_too_few_had_rung_for_is_new_when_it_rings() -> None:
    policy, stalled = Policy(), failed(event="stalled", state=State.STALLED)
    [(key, seen)] = tally([stalled], now_ms=NOW_MS, born_ms=0, policy=policy, skew_ms={}).items()
    few = step(key, None, seen, now_ms=NOW_MS, policy=policy)
    over = end(few.incident, now_ms=NOW_MS)
    back = step(key, over, replace(seen, count=3), now_ms=NOW_MS, policy=policy)
    assert (few.call, back.call, back.incident.phase) == (Call.HUSH, Call.RING, Phase.NEW)
    assert " · new" in alert_text(back.incident)
