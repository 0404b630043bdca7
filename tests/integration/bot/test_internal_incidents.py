"""Incidents, silences and views by the internal API, in step with the chat."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.eventually import eventually
from tests.integration.bot.house import CHAT, House, failure, snapshot
from tests.integration.bot.service import SERVICE_TOKEN, Service
from tests.integration.bot.test_postgres_refuses import Sql

ANN: dict[str, Any] = {"user_id": "proxy:ann@example.com", "name": "Ann", "role": "operator", "address": "203.0.113.7"}
VIEWER: dict[str, Any] = {"user_id": "proxy:vic@example.com", "name": "Vic", "role": "viewer"}


@pytest.fixture
def guarded(house: House) -> House:
    house.environ["TOCSIN_SERVICE_TOKEN"] = SERVICE_TOKEN
    return house


async def test_the_page_and_the_chat_handle_the_same_incidents(guarded: House) -> None:
    house = guarded
    await house.put(snapshot())
    bot = Service(await house.start_bot())
    await house.put(
        *(failure(f"q{at}", fingerprint=f"f{at}", error_type=f"E{at}", age_seconds=(5 - at) / 10) for at in range(5))
    )
    for number in range(5):
        await house.message(f"E{number} ×1")
    card = await house.message("E4 ×1")
    await eventually(lambda: _has_heard(bot), what="a time up to which all is counted")

    first = (await bot("GET", "incidents?state=open&limit=3")).json()
    rest = (await bot("GET", f"incidents?state=open&limit=3&cursor={first['next_cursor']}")).json()
    items = [*first["items"], *rest["items"]]
    assert [one["title"] for one in items] == ["E4", "E3", "E2", "E1", "E0"], "the newest first, none twice"
    assert rest["next_cursor"] is None
    one = items[0]
    assert (one["env"], one["source"], one["queue"], one["fingerprint"]) == ("prod", "main", "q4", "f4")
    assert (one["kind"], one["rule"], one["state"], one["count"]) == ("failure", "failed", "new", 1)
    assert one["first_at"].endswith("Z")
    assert [one["queue"] for one in (await bot("GET", "incidents?queue=q2&source=main")).json()["items"]] == ["q2"]
    two = (await bot("GET", "incidents?queue=q2&queue=q3&state=new&state=acked")).json()["items"]
    assert [one["queue"] for one in two] == ["q3", "q2"]
    assert (await bot("GET", "incidents?state=resolved")).json()["items"] == []
    for wrong in ("state=bad", "limit=0", "limit=501", "limit=x", "cursor=1", "cursor=a-b", "cursor=-1-2"):
        assert (await bot("GET", f"incidents?{wrong}")).status_code == 400, wrong

    words = (await bot("GET", "changes")).json()
    assert (await bot("GET", "changes")).json() == words, "nothing has changed"

    async def act(word: str, **more: Any) -> tuple[int, dict[str, Any]]:
        answer = await bot("POST", f"incidents/{one['id']}/{word}", body={**ANN, **more})
        return answer.status_code, answer.json()

    for word in ("ack", "unack", "resolve"):
        refused = await bot("POST", f"incidents/{one['id']}/{word}", body=VIEWER)
        assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")
    status, acked = await act("ack", episode=1)
    assert (status, acked["state"], acked["acked_by"]) == (200, "acked", "Ann")
    now = (await bot("GET", "changes")).json()
    assert {name for name, word in now.items() if word != words[name]} == {"incidents", "audit"}
    assert (await act("ack"))[0] == 200, "once more does nothing again"
    await house.message("Ann has it since")
    status, noted = await act("note", text="<b>provider</b> is down")
    assert (noted["note"], [note["by"] for note in noted["notes"]]) == ("<b>provider</b> is down", ["Ann"])
    await house.message("<b>provider</b> is down")
    await house.say("rolled back", reply_to_message_id=card["message_id"])
    await house.message("Noted on")
    told = (await bot("GET", f"incidents/{one['id']}")).json()
    assert [note["text"] for note in told["notes"]] == ["<b>provider</b> is down", "rolled back"]
    assert (await act("unack"))[1]["acked_by"] is None
    assert (await act("ack", episode=7))[1]["error"] == "over"
    assert (await act("note", text="  "))[0] == 400
    status, over = await act("resolve")
    assert (over["state"], over["resolved_at"] is not None) == ("resolved", True)
    await house.message("✅ prod · q4")
    assert (await act("resolve"))[1]["error"] == "over"
    await house.put(failure("q4", fingerprint="f4", error_type="E4"))
    await house.message("E4 ×1 · back again")
    assert (await bot("GET", f"incidents/{one['id']}")).json()["regressed"] is True
    assert (await bot("GET", "incidents/999")).json()["error"] == "unknown_incident"
    assert (await bot("POST", f"incidents/{2**70}/ack", body=ANN)).status_code == 404
    done = {(row["action"], row["outcome"].partition(":")[0]) for row in await bot.audit(user_id=ANN["user_id"])}
    assert done == {("ack", "done"), ("unack", "done"), ("note", "done"), ("resolve", "done")}
    assert [row["outcome"].partition(":")[0] for row in await bot.audit(user_id=VIEWER["user_id"])] == ["refused"] * 3


async def _has_heard(bot: Service) -> bool:
    return (await bot("GET", "incidents")).json()["as_of"] is not None


async def test_silences_and_views_are_kept_listed_and_ended_by_who_may(guarded: House) -> None:
    house = guarded
    bot = Service(await house.start_bot())
    for wrong in (
        {"minutes": 5},
        {"queue": "mail"},
        {"queue": "mail", "minutes": 0},
        {"queue": "mail", "minutes": 5, "until": "2030-01-01T00:00:00Z"},
        {"queue": "mail", "until": "2030-01-01T00:00:00Z"},
        {"queue": "mail", "until": "tomorrow"},
        {"queue": "mail", "minutes": 5, "is_maintenance": True},
        {"env": "prod", "queue": "mail", "minutes": 5, "is_maintenance": True},
    ):
        assert (await bot("POST", "silences", body={**ANN, **wrong})).status_code == 400, wrong
    assert (await bot("POST", "silences", body={**VIEWER, "queue": "mail", "minutes": 5})).status_code == 403
    words = (await bot("GET", "changes")).json()
    made = await bot("POST", "silences", body={**ANN, "queue": "mail", "minutes": 60, "reason": "moving"})
    assert (await bot("GET", "changes")).json()["incidents"] != words["incidents"]
    assert (made.status_code, made.json()["queue"], made.json()["by"]) == (201, "mail", "Ann")
    await house.put(failure("mail"), failure("loud", error_type="Loud"))
    await house.message("Loud ×1")
    [silence] = (await bot("GET", "silences")).json()["items"]
    assert (silence["hidden"], silence["reason"]) == (1, "moving")
    end = f"silences/{silence['id']}?user_id=proxy:ann@example.com&name=Ann&role"
    assert (await bot("DELETE", f"{end}=viewer")).status_code == 403
    assert (await bot("DELETE", f"{end}=operator")).status_code == 204
    assert (await bot("DELETE", f"{end}=operator")).json()["error"] == "unknown_silence"
    work = await bot("POST", "silences", body={**ANN, "env": "prod", "minutes": 60, "is_maintenance": True})
    assert (await bot("DELETE", f"silences/{work.json()['id']}?user_id={CHAT}&role=admin")).status_code == 204
    await house.message("Maintenance of prod is over")

    async def silence_late(seconds: float) -> None:
        until = datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()
        made = await bot("POST", "silences", body={**ANN, "queue": "late", "until": until})
        assert made.status_code == 201

    async def hidden(*wanted: int) -> bool:
        return [one["hidden"] for one in (await bot("GET", "silences")).json()["items"]] == list(wanted)

    await silence_late(3600)
    await house.put(failure("late", error_type="Late"))
    await eventually(lambda: hidden(1), what="what the silence hid")
    first = (await bot("GET", "silences")).json()["items"]
    await silence_late(7200)  # the same target again: another end
    [changed] = (await bot("GET", "silences")).json()["items"]
    assert [(changed["id"], changed["until"] > one["until"]) for one in first] == [(changed["id"], True)]
    await Sql(house.postgres).run("UPDATE silences SET until_ms = 1 WHERE queue = 'late'")  # its two hours are up
    await eventually(hidden, what="the silence's end, by itself")
    assert not await house.has_text("Late ×")
    await house.put(failure("late", error_type="Late"))
    await house.message("Late ×2")

    async def view(who: dict[str, Any], **more: Any) -> Any:
        return await bot("POST", "views", body={**who, "title": "Mine", "query": "/logs?queue=mail", **more})

    for wrong in ({"title": ""}, {"title": "x" * 101}, {"query": "https://evil.example"}, {"query": "//evil.example"}):
        assert (await view(ANN, **wrong)).status_code == 400, wrong
    assert (await view(VIEWER, shared=True)).status_code == 403
    mine = (await view(VIEWER, is_home=True)).json()
    other = (await view(VIEWER, title="Other", is_home=True)).json()
    shared = (await view(ANN, title="Team", shared=True)).json()

    async def seen_by(who: dict[str, Any]) -> list[tuple[str, bool]]:
        items = (await bot("GET", f"views?user_id={who['user_id']}")).json()["items"]
        return [(one["title"], one["is_home"]) for one in items]

    assert await seen_by(VIEWER) == [("Mine", False), ("Other", True), ("Team", False)], "one home"
    assert await seen_by(ANN) == [("Team", False)]
    wish = {"title": "New", "query": "/queues"}
    body = {**VIEWER, **wish}
    assert (await bot("PUT", f"views/{mine['id']}", body=body)).json()["query"] == "/queues"
    assert (await bot("PUT", f"views/{shared['id']}", body=body)).status_code == 403
    assert (await bot("PUT", f"views/{mine['id']}", body={**ANN, **wish})).status_code == 404
    assert (await bot("DELETE", f"views/{other['id']}?user_id={CHAT}&role=admin")).status_code == 204
    assert await seen_by(VIEWER) == [("New", False), ("Team", False)]


async def test_what_logsvc_does_itself_and_who_paused_a_queue_stand_in_the_audit(guarded: House) -> None:
    bot = Service(await guarded.start_bot())

    async def does(request_id: str, who: dict[str, Any] = ANN, **more: Any) -> int:
        deed = {"request_id": request_id, "action": "replay", "target": "dead letter x", "digest": "d", **who, **more}
        return (await bot("POST", "audit", body=deed)).status_code

    async def came_of(request_id: str, outcome: str) -> int:
        return (await bot("PUT", f"audit/{request_id}", body={"outcome": outcome})).status_code

    assert await does("r1") == 204
    assert await does("r1") == 204, "once more is the same"
    assert await does("r1", digest="another") == 409
    assert await does("r2", VIEWER) == 403
    assert await does("no good id") == 400
    assert await came_of("r1", "done: 1 stored") == 204
    [row] = await bot.audit(user_id=ANN["user_id"])
    assert (row["action"], row["target"], row["outcome"], row["role"]) == (
        "replay",
        "dead letter x",
        "done: 1 stored",
        "operator",
    )
    [refused] = await bot.audit(user_id=VIEWER["user_id"])
    assert refused["outcome"].startswith("refused")

    for number, (action, target, outcome) in enumerate(
        (
            ("pause", "main/mail", "done: 1 done"),
            ("pause", "main/a/b", "done: 1 done"),
            ("pause", "main/orders", "done: 1 done"),
            ("resume", "main/orders", "done: 1 done"),
            ("resume", "main/mail", "refused: not_configured"),
            ("pause", "main/failed", "waits: busy"),
        )
    ):
        assert await does(f"p{number}", action=action, target=target, digest=str(number)) == 204
        assert await came_of(f"p{number}", outcome) == 204
    items = (await bot("GET", "pauses")).json()["items"]
    assert [(one["source"], one["queue"], one["by"]) for one in items] == [
        ("main", "a/b", "Ann"),
        ("main", "mail", "Ann"),
    ]
