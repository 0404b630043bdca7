"""/failed and /job: how long things took, and how old the answer is."""

import pytest

from bot import texts
from bot.incidents.failures import Key
from bot.incidents.machine import Incident, Phase
from bot.render.jobs import failed_incidents_text, failed_text, job_text
from bot.render.times import duration
from tests.unit.bot.events import NOW_MS

AS_OF = "2027-01-15T07:59:30+00:00"
"""Half a minute before NOW_MS."""


@pytest.mark.parametrize(
    ("ms", "said"), [(0, "0 ms"), (7.4, "7 ms"), (999, "999 ms"), (1000, "1 s"), (61_000, "61 s"), (600_000, "10 min")]
)
def test_what_took_less_than_a_second_is_told_in_milliseconds(ms: float, said: str) -> None:
    assert duration(ms) == said


def test_answers_from_history_say_how_old_they_are() -> None:
    assert "30 s old (07:59:30 UTC)" in failed_text([], about="", as_of=AS_OF, now_ms=NOW_MS)
    job = {"state": "failed", "as_of": AS_OF, "attempts": [{"n": 1, "run_ms": 42}]}
    text = job_text(job, queue="orders", job_id="7", now_ms=NOW_MS)
    assert "30 s old (07:59:30 UTC)" in text
    assert "ran 42 ms" in text


@pytest.mark.parametrize("as_of", [None, "", "yesterday"])
def test_an_age_that_is_not_known_is_said_to_be_unknown(as_of: str | None) -> None:
    assert texts.AS_OF_UNKNOWN in failed_text([], about="", as_of=as_of, now_ms=NOW_MS)
    assert texts.AS_OF_UNKNOWN in job_text({"as_of": as_of}, queue="orders", job_id="7", now_ms=NOW_MS)


def test_the_bots_own_count_is_as_old_as_its_reading() -> None:
    text = failed_incidents_text([], about="", now_ms=NOW_MS, read_seconds_ago=4, note="why")
    assert "4 s old (07:59:56 UTC)" in text
    assert texts.NOT_READ_YET in failed_incidents_text([], about="", now_ms=NOW_MS, read_seconds_ago=None, note="")


def test_what_is_over_is_not_shown_as_failing_and_two_queues_of_one_name_are_told_apart() -> None:
    incident = Incident(
        key=Key("prod", "eu", "orders", "f"),
        phase=Phase.RESOLVED,
        episode=1,
        count=1,
        total=1,
        first_ms=NOW_MS,
        last_ms=NOW_MS,
        touched_ms=NOW_MS,
        has_rung=True,
    )
    shared = frozenset({("prod", "orders")})
    text = failed_incidents_text([incident], about="", now_ms=NOW_MS, read_seconds_ago=1, note="", shared=shared)
    assert "✅ prod · eu/<b>orders</b>" in text
    items = [{"env": "prod", "source": "eu", "queue": "orders"}, {"env": "prod", "source": "eu", "queue": "mail"}]
    text = failed_text(items, about="", as_of=AS_OF, now_ms=NOW_MS, shared=shared)
    assert "eu/<b>orders</b>" in text
    assert "· <b>mail</b>" in text
