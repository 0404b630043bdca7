"""Actions on their way through the bot: roles are checked again, and a bridge that is ill is told as it is."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from litestar import Litestar, Request, Response, post

from tests.integration.bot.house import CHAT, House
from tests.integration.bot.service import SERVICE_TOKEN, Service
from tests.ports import free_port
from tocsin.http import serve_http

ANN, STRANGER = 4242, 777


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

        app = Litestar([actions], openapi_config=None, logging_config=None)
        self._task = asyncio.create_task(serve_http(app, "127.0.0.1", self.port, self._stop, drain_seconds=1))

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


def done(count: int) -> Response[Any]:
    return Response({"request_id": "r", "dry_run": False, "count": count, "outcomes": {"done": count}, "results": []})


STILL_RUNNING = {"error": "still_running", "message": "nobody knows yet how far this came", "mend": "send it again"}


async def test_an_action_is_checked_sent_and_written_down_whatever_the_bridge_does(
    house: House, bridge: FakeBridge
) -> None:
    house.environ |= {"TOCSIN_SERVICE_TOKEN": SERVICE_TOKEN, "BRIDGE_URL": f"http://127.0.0.1:{bridge.port}"}
    bot = Service(await house.start_bot())
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

    bridge.answers = [Response("<html>", media_type="text/html"), Response({"x": 1}, status_code=500)]
    for request_id in ("r-3", "r-4"):
        status, told = await act(request_id, CHAT)
        assert (status, told["error"]) == (503, "bridge_unavailable")
    await bridge.stop()
    assert (await act("r-5", CHAT))[1]["error"] == "bridge_unavailable"
    for wrong in ({"request_id": "a b"}, {"user_id": ""}, {"surplus": 1}, {"role": "root"}, {"source": "x" * 501}):
        assert (
            await bot("POST", "actions", body={**plain, "request_id": "r", "user_id": 1, **wrong})
        ).status_code == 400

    rows = {row["request_id"]: row["outcome"] for row in await bot.audit() if row["request_id"]}
    assert rows["r-1"] == "done: 3 done"
    assert {rows[name].partition(":")[0] for name in ("r-3", "r-4", "r-5")} == {"no answer from bridge"}
    assert "r-2" not in rows
    refused = [row["user_id"] for row in await bot.audit() if row["outcome"].startswith("refused: that needs")]
    assert sorted(refused) == sorted([str(STRANGER), str(CHAT), str(ANN), "token:nobody", "x"])
