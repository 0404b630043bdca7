"""What logsvc passes on to the bot and back, against a stand-in that keeps what it was asked."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient
from prometheus_client import CollectorRegistry

from logsvc.api.access import access_routes
from logsvc.api.actions import actions_route
from logsvc.api.build import build_api
from logsvc.api.handling import BotIncidents, Handled, Handling
from logsvc.api.of_bot import bot_routes
from logsvc.auth.access import Access
from logsvc.auth.door import Door
from logsvc.auth.limits import Attempts
from logsvc.auth.who import SCOPE_KEY, Who
from logsvc.bot import Bot
from logsvc.settings import LogsvcSettings
from tocsin.breakers import Breakers
from tocsin.discovery import Directory
from tocsin.health import Health
from tocsin.roles import Role
from tocsin.settings import read

GIVEN = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "CLICKHOUSE_URL": "chdb:///nowhere",
    "TOCSIN_SERVICE_TOKEN": "service-token-of-the-test",
    "BOT_URL": "http://bot.test:9102",
}
ASKS = {"user_id": "1001", "name": "Ann", "role": "operator", "address": "192.0.2.7"}
WRITES: list[tuple[str, str, Any]] = [
    ("POST", "incidents/17/ack", {"episode": 2}),
    ("POST", "incidents/17/unack", None),
    ("POST", "incidents/17/resolve", {}),
    ("POST", "incidents/17/note", {"text": "card provider is down"}),
    ("POST", "silences", {"queue": "orders", "minutes": 60}),
    ("DELETE", "silences/4", None),
    ("PUT", "rules/no_workers", {"fire": {"seconds": 120}}),
    ("POST", "views", {"title": "ours", "query": "/logs?queue=orders", "shared": True}),
    ("PUT", "views/8", {"title": "ours", "query": "/queues", "shared": True}),
]
WRITES_OF_VIEWERS: list[tuple[str, str, Any]] = [
    ("POST", "rules/preview", {"rules": {"no_workers": {"fire": 30}}}),
    ("POST", "views", {"title": "mine", "query": "/logs?queue=orders"}),
    ("PUT", "views/8", {"title": "mine", "query": "/queues", "shared": False}),
    ("DELETE", "views/8", None),
]


@dataclass
class StandIn:
    """The bot: says `answer` to everything, and keeps the requests."""

    answer: Callable[[], httpx.Response] = lambda: httpx.Response(200, json={"items": [{"id": 17}]})
    asked: list[httpx.Request] = field(default_factory=list[httpx.Request])

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.answer()


@dataclass
class Rig:
    """logsvc's API as one person sees it. role: the first is theirs."""

    client: TestClient[Any]
    bot: StandIn
    role: list[Role]
    incidents: BotIncidents

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.client.request(method, f"/api/v1/{path}", json=body)


@pytest.fixture
def rig() -> Iterator[Rig]:
    settings, registry, stand_in = read(LogsvcSettings, GIVEN), CollectorRegistry(), StandIn()
    client = httpx.AsyncClient(transport=httpx.MockTransport(stand_in))
    bot = Bot(settings, Directory(settings, registry), Breakers(settings, registry), client)
    door = Door(settings, Access(bot), Attempts())
    api = build_api([*bot_routes(bot), actions_route(bot), *access_routes(door, bot)], Health(), registry, lambda: None)

    app: Any = api
    role = [Role.OPERATOR]

    async def as_somebody(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, SCOPE_KEY: Who("session", "1001", "Ann", role[0], "192.0.2.7")}, receive, send)

    with TestClient(as_somebody) as asking:  # pyright: ignore[reportArgumentType]  # any ASGI app does
        yield Rig(asking, stand_in, role, BotIncidents(bot))


def test_a_question_goes_on_with_all_its_filters_and_the_answer_as_it_came(rig: Rig) -> None:
    answer = rig.ask("GET", "incidents?state=firing&state=acked&queue=a,b&env=prod&limit=20&cursor=x")
    assert (answer.status_code, answer.json()) == (200, {"items": [{"id": 17}]})
    [asked] = rig.bot.asked
    assert asked.url.path == "/internal/v1/incidents"
    assert sorted(asked.url.params.multi_items()) == [
        *(("cursor", "x"), ("env", "prod"), ("limit", "20"), ("queue", "a,b")),
        *(("state", "acked"), ("state", "firing")),
    ]
    assert asked.headers["authorization"] == "Bearer service-token-of-the-test"
    for path in ("incidents/17", "silences", "pauses", "rules", "views"):
        assert rig.ask("GET", path).json() == {"items": [{"id": 17}]}
        assert rig.bot.asked[-1].url.path == f"/internal/v1/{path}"
    assert dict(rig.bot.asked[-1].url.params) == ASKS, "a person's own views"


def test_a_write_goes_on_with_who_asks_for_it(rig: Rig) -> None:
    for method, path, body in WRITES + WRITES_OF_VIEWERS:
        told = httpx.Response(201, json={"id": 17}) if method == "POST" else httpx.Response(204)
        rig.bot.answer = lambda told=told: told
        assert rig.ask(method, path, body).json() == ({"id": 17} if method == "POST" else {})
        asked = rig.bot.asked[-1]
        assert (asked.method, asked.url.path) == (method, f"/internal/v1/{path}")
        if method == "DELETE":
            assert dict(asked.url.params) == ASKS
        else:
            assert json.loads(asked.content) == {**(body or {}), **ASKS}
    assert len(rig.bot.asked) == len(WRITES) + len(WRITES_OF_VIEWERS)


def test_a_viewer_writes_what_is_theirs_alone(rig: Rig) -> None:
    rig.role[0] = Role.VIEWER
    for method, path, body in WRITES:
        assert rig.ask(method, path, body).status_code == 403, path
    assert rig.bot.asked == []
    for method, path, body in WRITES_OF_VIEWERS:
        assert rig.ask(method, path, body).is_success, path
        asked = rig.bot.asked[-1]
        told = dict(asked.url.params) if method == "DELETE" else json.loads(asked.content)
        assert told["role"] == "viewer", "what it may do there the bot decides"
    assert len(rig.bot.asked) == len(WRITES_OF_VIEWERS)


def test_what_is_no_question_does_not_reach_the_bot(rig: Rig) -> None:
    for method, path, body in (
        ("GET", "incidents?statee=firing", None),
        ("GET", "incidents?limit=0", None),
        ("GET", "incidents/..%2Ftokens", None),
        ("GET", "incidents/nine", None),
        ("GET", "silences?x=1", None),
        ("POST", "incidents/.hidden/ack", {}),
        ("POST", "incidents/17/note", [1]),
        ("POST", "incidents/17/note", {"text": "x", "user_id": "2002"}),
        ("POST", "silences", {"role": "admin"}),
        ("POST", "views", {"name": "mine", "query": "/logs"}),
    ):
        answer = rig.ask(method, path, body)
        assert answer.status_code in (400, 404), (path, answer.text)
        assert answer.json()["detail"], path
    assert rig.ask("POST", "silences", {"reason": "x" * 70_000}).status_code == 413
    assert rig.bot.asked == []


def test_the_bot_says_no_in_its_own_words(rig: Rig) -> None:
    complaint = {"error": "conflict", "message": "another episode has begun", "mend": "look again"}
    rig.bot.answer = lambda: httpx.Response(409, json=complaint)
    answer = rig.ask("POST", "incidents/17/ack", {"episode": 1})
    assert (answer.status_code, answer.json()) == (
        409,
        {"detail": "another episode has begun", "error": "conflict", "mend": "look again"},
    )
    progress = {"settled": 412, "planned": 25_000}
    rig.bot.answer = lambda: httpx.Response(503, json={"error": "still_running", "message": "", "progress": progress})
    assert rig.ask("POST", "incidents/17/ack", {"episode": 1}).json()["progress"] == progress


def test_a_bot_that_is_away_or_ill_is_a_503_that_says_so(rig: Rig) -> None:
    def refuse() -> httpx.Response:
        raise httpx.ConnectError("refused")

    for answer in (refuse, lambda: httpx.Response(502, text="<html>")):
        rig.bot.answer = answer
        told = rig.ask("GET", "incidents")
        assert (told.status_code, bool(told.headers["retry-after"])) == (503, True)
        assert told.json()["detail"].endswith("bot does not answer now")


def test_a_bot_that_is_still_starting_is_asked_again_and_one_that_went_is_not(rig: Rig) -> None:
    def refuse() -> httpx.Response:
        raise httpx.ConnectError("refused")

    rig.bot.answer = refuse
    for asked in range(1, 21):
        assert rig.ask("GET", "incidents").status_code == 503
        assert len(rig.bot.asked) == asked, "its breaker is closed"
    rig.bot.answer = lambda: httpx.Response(200, json={"items": []})
    assert rig.ask("GET", "incidents").status_code == 200, "at once when it is there"
    rig.bot.answer = refuse
    for _ in range(20):
        assert rig.ask("GET", "incidents").status_code == 503
    assert len(rig.bot.asked) < 21 + 20, "it was well before: now it is ill, and left in peace"


def test_the_description_tells_of_the_bots_refusals(rig: Rig) -> None:
    paths = rig.client.get("/openapi.json").json()["paths"]
    told = {(path, method) for path, methods in paths.items() for method in methods}
    assert {(f"/api/v1/{path}", "get") for path in ("incidents", "rules", "silences", "views", "tokens")} <= told
    for path, method in told - {("/api/v1/me", "get")}:
        if path.startswith("/api/v1/"):
            assert {"401", "403", "503"} <= paths[path][method]["responses"].keys(), (method, path)


async def test_who_handled_a_failure_last_is_told_by_its_incidents(rig: Rig) -> None:
    notes = [{"by": "Bob", "at": "2026-11-20T09:00:00Z", "text": "provider is down"}]
    acked: dict[str, Any] = {"acked_by": "Ann", "acked_at": "2026-11-20T08:00:00Z", "notes": notes}
    before: dict[str, Any] = {
        "previous_by": "Eve",
        "previous_at": "2026-11-19T00:00:00Z",
        "acked_by": None,
        "notes": [],
    }
    cases: list[tuple[list[dict[str, Any]], Handled | None]] = [
        ([], None),
        ([before | {"fingerprint": "f"}], Handled("Eve", "acked", "2026-11-19T00:00:00Z")),
        ([acked | {"fingerprint": "f"}], Handled("Bob", "noted", "2026-11-20T09:00:00Z", "provider is down")),
        ([acked | {"fingerprint": "another"}], None),
    ]
    for items, last in cases:
        rig.bot.answer = lambda items=items: httpx.Response(200, json={"items": items, "next_cursor": None})
        assert await rig.incidents.last_handling("f") == Handling(is_known=True, last=last)
        assert rig.bot.asked[-1].url.params["fingerprint"] == "f"
    for ill in (httpx.Response(200, text="<html>"), httpx.Response(404, json={"error": "x", "message": "y"})):
        rig.bot.answer = lambda ill=ill: ill
        assert await rig.incidents.last_handling("f") == Handling(is_known=False, last=None)
