"""What becomes of the jobs of an action, by their own events."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import httpx
from prometheus_client import CollectorRegistry

from bot.actions.action import FOLLOW_SECONDS, MOST_IDS, Action, Fate, Stage, count, ended, fates_of, follow
from bot.actions.bridge import Bridge
from bot.people.seal import Seal
from bot.render.actions import action_buttons, action_text, note_words
from bot.render.markup import plain
from bot.settings import BotSettings
from bridge.actions.request import MOST_JOBS
from tests.unit.bot.events import NOW_MS, failed
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers
from tocsin.discovery import Directory
from tocsin.events import JobEvent, State
from tocsin.settings import read


def event(job_id: str, state: State, prev: str = "") -> JobEvent:
    return failed(job_id=job_id, state=state, event=state.value, prev=prev)


def action(**more: Any) -> Action:
    values: dict[str, Any] = {
        "id": 7,
        "stage": Stage.FOLLOWING,
        "action": "retry",
        "env": "prod",
        "source": "main",
        "queue": "orders",
        "wanted": {},
        "count": 412,
        "incident_id": 17,
        "kind": "CardError",
        "by": "Ann",
        "asked_ms": NOW_MS,
        "begun_ms": NOW_MS,
    }
    return Action(**{**values, **more})


def test_only_what_follows_the_retry_counts_and_the_first_end_is_kept() -> None:
    fates = fates_of([{"job_id": str(at), "outcome": "done"} for at in range(6)])
    told = [
        event("0", State.FAILED),  # of the run before: the relay is a little behind
        *(event(str(at), State.WAITING, "failed") for at in range(5)),
        event("0", State.ACTIVE, "waiting"),
        event("0", State.COMPLETED, "active"),
        event("0", State.FAILED),  # somebody ran it once more
        event("1", State.RETRYING, "active"),
        event("1", State.FAILED, "active"),
        event("2", State.REMOVED, "waiting"),
        event("5", State.REMOVED, "failed"),
        event("9", State.COMPLETED),
    ]
    changed = follow(fates, "retry", told)
    assert changed == {
        "0": Fate.COMPLETED,
        "1": Fate.FAILED,
        "2": Fate.GONE,
        "3": Fate.MOVING,
        "4": Fate.MOVING,
        "5": Fate.GONE,
    }
    assert follow({**fates, **changed}, "retry", [event("3", State.COMPLETED), event("0", State.FAILED)]) == {
        "3": Fate.COMPLETED
    }


def test_what_was_promoted_counts_from_when_it_left_its_delay() -> None:
    fates = fates_of([{"job_id": "1", "outcome": "done"}, {"job_id": "2", "outcome": "not_delayed"}])
    assert fates["2"] is Fate.PASSED
    assert follow(fates, "promote", [event("1", State.WAITING, "failed")]) == {}
    moved = follow(fates, "promote", [event("1", State.WAITING, "delayed"), event("1", State.COMPLETED)])
    assert moved == {"1": Fate.COMPLETED}


def test_the_message_tells_it_as_it_goes_and_at_the_end() -> None:
    seal = Seal("secret")
    going = action(fates={"completed": 118, "failed": 2, "moving": 290, "waits": 2})
    told = plain(action_text(going))
    assert told.startswith("🔁 412 retried: 118 completed, 2 failed again, 290 on their way, 2 not seen yet\n▓▓▓▓▓░")
    one = plain(action_text(action(fates={"completed": 1, "moving": 1, "waits": 1})))
    assert "3 retried: 1 completed, 1 on its way, 1 not seen yet" in one
    assert action_buttons(going, seal) == ()
    assert ended(going, now_ms=NOW_MS) is None
    late = ended(going, now_ms=NOW_MS + int(FOLLOW_SECONDS * 1000))
    assert late is not None
    assert "I have stopped looking after 6 h" in action_text(late)
    done = ended(replace(going, fates={"completed": 398, "failed": 11, "gone": 3}), now_ms=NOW_MS)
    assert done is not None
    assert "412 retried</b>: 398 completed, 11 failed again, 3 gone" in action_text(done)
    assert note_words(done) == "412 retried: 398 completed, 11 failed again, 3 gone"
    assert [one.label for row in action_buttons(done, seal) for one in row] == ["🔁 Retry the 11 that failed again"]
    assert count([Fate.GONE, Fate.GONE]) == {"gone": 2}
    nothing = replace(done, fates={})
    assert plain(action_text(nothing)).startswith("✅ 0 retried\n")
    assert note_words(nothing) == "0 retried"


def test_no_button_retries_more_jobs_than_one_request_may_name() -> None:
    assert MOST_IDS == MOST_JOBS
    seal, done = Seal("secret"), action(stage=Stage.ENDED)
    assert action_buttons(replace(done, fates={"failed": MOST_IDS}), seal)
    assert not action_buttons(replace(done, fates={"failed": MOST_IDS + 1}), seal)


def test_names_of_others_cannot_break_the_message() -> None:
    hostile = action(queue="<b>" * 500, kind="</b>&" * 500, by="\u202e" * 99, note="<a href=x>" * 999)
    for stage in Stage:
        for what in ("retry", "pause"):
            text = action_text(replace(hostile, stage=stage, action=what))
            assert len(text) < 4096
            assert "<b><b>" not in text
            assert "\u202e" not in text


async def test_a_replica_that_swallows_packets_or_is_stopping_leaves_it_to_the_next() -> None:
    """A mock: no server that can be had here lets a connection time out."""

    def answer(request: httpx.Request) -> httpx.Response:
        match request.url.host:
            case "gone":
                raise httpx.ConnectTimeout("no answer")
            case "stopping":
                return httpx.Response(503, json={"error": "busy"})
            case "elsewhere":
                return httpx.Response(404, json={"error": "unknown_source"})
            case _:
                return httpx.Response(200, json={"count": 1})

    async def ask(*replicas: str) -> str:
        def urls_of(_service: str) -> list[str]:
            return [f"http://{one}" for one in replicas]

        directory = SimpleNamespace(look_for=urls_of, urls_of=urls_of)
        settings = read(BotSettings, BASE)
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            door = Bridge(settings, cast(Directory, directory), Breakers(settings, CollectorRegistry()), client)
            return (await door.act({})).error

    assert await ask("gone", "stopping", "elsewhere", "well") == ""
    assert await ask("stopping", "elsewhere") == "busy"
