"""Actions on their way through the bot: roles are checked again, and a bridge that is ill is told as it is."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from litestar import Litestar, Request, Response, get, post
from prometheus_client import CollectorRegistry

from bot.actions.bridge import BRIDGE, Bridge
from bot.settings import BotSettings
from tests.eventually import eventually
from tests.integration.bot.fake_logsvc import FakeLogsvc
from tests.integration.bot.house import CHAT, House, failure, snapshot
from tests.integration.bot.link import Link
from tests.integration.bot.service import SERVICE_TOKEN, Service
from tests.integration.bot.test_answers import WAYS, greeted, make_chat
from tests.integration.bot.test_postgres_refuses import Sql
from tests.ports import free_port
from tests.servers.serving import serving
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers, Unavailable
from tocsin.discovery import Directory
from tocsin.settings import read

ANN, STRANGER, VIEWER = 4242, 777, 2002


class FakeBridge:
    """A bridge as docs/actions.md tells it: it gives the answers it was told to give, one after the other."""

    def __init__(self) -> None:
        self.port = free_port()
        self.answers: list[Response[Any]] = []
        self.asked: list[dict[str, Any]] = []
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        @post("/internal/v1/actions", status_code=200)
        async def actions(request: Request[Any, Any, Any]) -> Response[Any]:
            assert request.headers["authorization"] == f"Bearer {SERVICE_TOKEN}"
            self.asked.append(await request.json())
            return self.answers.pop(0)

        @get("/health/live", sync_to_thread=False)
        def live() -> dict[str, str]:
            return {"status": "live"}

        app = Litestar([actions, live], openapi_config=None, logging_config=None)
        self._task = await serving(app, self.port, self._stop)

    async def stop(self) -> None:
        self._stop.set()
        if self._task is not None:
            await self._task


@pytest.fixture
async def bridge() -> AsyncGenerator[FakeBridge]:
    one = FakeBridge()
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def logsvc() -> AsyncGenerator[FakeLogsvc]:
    one = FakeLogsvc()
    await one.start()
    yield one
    await one.stop()


async def is_offered(house: House, bridge: FakeBridge) -> None:
    """What an answer offers is counted anew and asked first, and only of who may."""
    await house.ask(f"/grant {VIEWER} viewer", expect="is now viewer")
    await house.say("/job mail 7", chat=VIEWER, user=VIEWER)
    theirs = await house.message("job 7", chat=VIEWER)
    refused = (await house.press(theirs, "🔁 Retry it", user=VIEWER))["answer"]
    assert (refused["show_alert"], "needs the role operator" in refused["text"]) == (True, True)
    asked = len(bridge.asked)
    offers = {
        "/job mail 7": ("🔁 Retry it", "Retry 1 job of mail?", {"action": "retry", "job_ids": ["7"]}),
        "/job mail 8": ("⏩ Promote it", "Promote 1 job of mail?", {"action": "promote", "job_ids": ["8"]}),
        "/failed mail": ("🔁 Retry the failed jobs", "Retry 412 jobs of mail?", {"action": "retry"}),
        "/queue mail": ("▶️ Resume it", "Resume mail?", {"action": "resume"}),
    }
    for said, (label, question, wanted) in offers.items():
        bridge.answers = [done(412 if said == "/failed mail" else 1)]
        await house.ask(said, expect="mail")
        answer = (await house.messages())[-1]
        assert (await house.press(answer, label))["answered"]
        found = await house.message(question)
        assert found["reply_to_message"]["message_id"] == answer["message_id"]
        assert [key["text"] for key in found["reply_markup"]["inline_keyboard"][0]][1] == "Cancel"
        assert {"dry_run": True, **wanted}.items() <= bridge.asked[-1].items()
    assert len(bridge.asked) == asked + len(offers)


async def is_cancelled(house: House, bridge: FakeBridge) -> None:
    """Who presses a question that was cancelled, either button, is told so: nothing has begun."""
    asked, sent = await house.message("Retry 412 jobs of mail?"), len(bridge.asked)
    yes, cancel = [key["callback_data"] for key in asked["reply_markup"]["inline_keyboard"][0]]
    for data in (cancel, cancel, yes):
        told = (await house.press_data(asked, data))["answer"]["text"]
        assert (told.startswith("Cancelled by"), told.endswith("nothing was done.")) == (True, True), told
    assert len(bridge.asked) == sent


async def is_carried_out(house: House, bridge: FakeBridge) -> None:
    """What is confirmed in the chat is done; a count of five minutes ago is not."""
    for question, action in (("Promote 1 job of mail?", "promote"), ("Resume mail?", "resume")):
        before = len(bridge.asked)
        bridge.answers = [done(1)]
        assert "too old" not in (await confirm(house, question))["text"]
        await eventually(lambda before=before: len(bridge.asked) > before, what=f"{action} at the bridge")
        assert (bridge.asked[-1]["action"], "dry_run" in bridge.asked[-1]) == (action, False)
    await Sql(house.postgres).run("UPDATE actions SET asked_ms = asked_ms - 300001 WHERE stage = 'asked'")
    asked = len(bridge.asked)
    assert "That count is too old" in (await confirm(house, "Retry 1 job of mail?"))["text"]
    assert len(bridge.asked) == asked


async def is_remembered(house: House, bridge: FakeBridge, bot: Service) -> None:
    """An incident says who retried its jobs from the page, once, though it was sent again."""
    await house.put(failure("orders", fingerprint="f9", error_type="E9"))
    await house.message("E9 ×1")
    asked: dict[str, Any] = {"request_id": "r-6", "user_id": ANN, "name": "Ann", "role": "admin", "action": "retry"}
    asked |= {"source": "main", "queue": "orders", "filter": {"fingerprint": "f9"}}
    for _ in range(2):
        bridge.answers = [Response({"count": 3, "outcomes": {"done": 2, "gone": 1}, "results": []})]
        assert (await bot("POST", "actions", body=asked)).status_code == 200
    await house.message("2 retried, 1 gone")
    [incident] = (await bot("GET", "incidents?fingerprint=f9")).json()["items"]
    assert [(note["by"], note["text"]) for note in incident["notes"]] == [("Ann", "2 retried, 1 gone")]


async def confirm(house: House, question: str) -> dict[str, Any]:
    """Press the first button under a question; return what the bot answers."""
    asked = await house.message(question)
    return (await house.press(asked, asked["reply_markup"]["inline_keyboard"][0][0]["text"]))["answer"]


def done(count: int) -> Response[Any]:
    return Response({"request_id": "r", "dry_run": False, "count": count, "outcomes": {"done": count}, "results": []})


STILL_RUNNING = {"error": "still_running", "message": "nobody knows yet how far this came", "mend": "send it again"}


async def test_an_action_is_checked_sent_and_written_down_whatever_the_bridge_does(
    house: House, bridge: FakeBridge, logsvc: FakeLogsvc
) -> None:
    house.environ |= {"TOCSIN_SERVICE_TOKEN": SERVICE_TOKEN, "BRIDGE_URL": f"http://127.0.0.1:{bridge.port}"}
    house.environ["LOGSVC_URL"] = f"http://127.0.0.1:{logsvc.port}"
    logsvc.jobs["main/mail/7"] = {"state": "failed", "as_of": "2026-11-22T00:00:00Z"}
    logsvc.jobs["main/mail/8"] = {"state": "delayed", "as_of": "2026-11-22T00:00:00Z"}
    await house.put(snapshot("mail", is_paused=True))
    await make_chat(house, id=VIEWER, first_name="Vic")
    bot = Service(await house.start_bot())
    await greeted(house)
    await house.ask(f"/grant {ANN} operator", expect="is now operator")
    plain: dict[str, Any] = {"action": "retry", "source": "main", "queue": "mail", "job_ids": ["1"], "name": "Ann"}

    async def act(request_id: str, user: str | int, role: str = "admin", **more: Any) -> tuple[int, dict[str, Any]]:
        body = {**plain, "request_id": request_id, "user_id": user, "role": role, **more}
        answer = await bot("POST", "actions", body=body)
        return answer.status_code, answer.json()

    for user, role in (
        (STRANGER, "admin"),
        (CHAT, "viewer"),
        (ANN, "viewer"),
        ("token:nobody", "admin"),
        ("x", "viewer"),
    ):
        status, told = await act("r-0", user, role)
        assert (status, told["error"]) == (403, "forbidden"), user
    assert bridge.asked == []

    bridge.answers = [Response(STILL_RUNNING, status_code=503, headers={"retry-after": "5"}), done(3), done(3)]
    assert await act("r-1", ANN) == (503, STILL_RUNNING)
    assert (await act("r-1", ANN))[1]["count"] == 3
    assert (await act("r-1", CHAT))[1]["error"] == "conflict"  # somebody else's
    assert (await act("r-1", ANN, job_ids=["2"]))[1]["error"] == "conflict"
    same = {"request_id": "r-1", "user_id": ANN, "action": "retry", "source": "main", "queue": "mail", "job_ids": ["1"]}
    assert bridge.asked == [same, same]
    assert (await act("r-2", "proxy:ann@example.com", "operator", dry_run=True))[0] == 200
    await is_offered(house, bridge)
    await is_cancelled(house, bridge)
    await is_carried_out(house, bridge)
    await is_remembered(house, bridge, bot)

    bridge.answers = [Response("<html>", media_type="text/html"), Response({"x": 1}, status_code=500)]
    for request_id in ("r-3", "r-4"):
        status, told = await act(request_id, CHAT)
        assert (status, told["error"]) == (503, "bridge_unavailable")
        assert "not known whether this was done" in told["message"]
    await bridge.stop()
    _, told = await act("r-5", CHAT)
    assert (told["error"], told["message"]) == ("bridge_unavailable", "bridge does not answer now")
    for wrong in ({"request_id": "a b"}, {"user_id": ""}, {"surplus": 1}, {"role": "root"}, {"source": "x" * 501}):
        assert (
            await bot("POST", "actions", body={**plain, "request_id": "r", "user_id": 1, **wrong})
        ).status_code == 400

    rows = {row["request_id"]: row["outcome"] for row in await bot.audit() if row["request_id"]}
    assert rows["r-1"] == "done: 3 done"
    ends = [rows[name].partition(":")[0] for name in ("r-3", "r-4", "r-5")]
    assert ends == ["not known", "not known", "not done"], "the last found nobody to hear it"
    assert "r-2" not in rows
    refused = [row["user_id"] for row in await bot.audit() if row["outcome"].startswith("refused: that needs")]
    assert sorted(refused) == sorted([str(STRANGER), str(CHAT), str(ANN), "token:nobody", "x"])


async def test_a_bridge_that_fails_in_any_way_is_found_out_and_taken_back_when_it_is_well(bridge: FakeBridge) -> None:
    link = Link("127.0.0.1", bridge.port)
    await link.start()
    environ = {
        "TOCSIN_SERVICE_TOKEN": SERVICE_TOKEN,
        "BRIDGE_URL": f"http://127.0.0.1:{link.port}",
        "BREAKER_FAIL_MAX": "2",
        "BREAKER_TIMEOUT_SECONDS": "1",
        "BREAKER_PROBE_SECONDS": "0.1",
    }
    settings = read(BotSettings, {**BASE, **environ})
    breakers = Breakers(settings, CollectorRegistry())
    stop = asyncio.Event()
    async with httpx.AsyncClient() as client:
        door = Bridge(settings, Directory(settings), breakers, client)
        breakers.probe_with(BRIDGE, door.probe)
        probing = asyncio.create_task(breakers.run_probes(stop))
        try:
            for way in WAYS:
                await link.set(way)
                for _ in range(2):
                    with pytest.raises(Unavailable):
                        await door.act({}, seconds=0.3)
                assert breakers.is_open(BRIDGE), way
                bridge.answers = [done(1)] * 9  # what was held back may arrive now
                await link.set("open")
                await eventually(lambda: not breakers.is_open(BRIDGE), what="the closed breaker")
                assert (await door.act({})).body["count"] == 1
        finally:
            stop.set()
            await probing
            await link.set("refusing")
