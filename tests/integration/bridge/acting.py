"""Asking a bridge of a test for actions, as the bot does."""

import uuid
from typing import Any

import httpx

from tests.eventually import READY_SECONDS
from tests.integration.bridge.running import Bridge

TOKEN = "service-token-of-the-test"


def may_act(bridge: Bridge, redis_url: str) -> None:
    """Configure the actions of a bridge that is not started yet."""
    bridge.environ |= {"REDIS_ACTIONS_URL": redis_url, "TOCSIN_SERVICE_TOKEN": TOKEN}


async def send(
    bridge: Bridge, *, token: str | None = TOKEN, seconds: float = READY_SECONDS, **body: Any
) -> httpx.Response:
    """One request; what is not given has the value of a plain one."""
    whole = {"request_id": uuid.uuid4().hex, "user_id": 1001, "source": "main", **body}
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(timeout=seconds) as client:
        url = f"http://127.0.0.1:{bridge.environ['BRIDGE_PORT']}/internal/v1/actions"
        return await client.post(url, json=whole, headers=headers)


async def done(bridge: Bridge, **body: Any) -> dict[str, Any]:
    """Send one request, again and again, as the bot does, while it is still carried out; the answer to the last."""
    same: dict[str, Any] = {"request_id": uuid.uuid4().hex, **body}
    response = await send(bridge, **same)
    while response.json().get("error") == "still_running":
        response = await send(bridge, **same)
    assert response.status_code == 200, response.text
    return response.json()


async def refused(bridge: Bridge, **body: Any) -> tuple[int, str]:
    """Status and error of a request that must not."""
    response = await send(bridge, **body)
    told = response.json()
    assert set(told) - {"mend"} == {"error", "message"}, told
    return response.status_code, told["error"]


def outcomes(answer: dict[str, Any]) -> dict[str, str]:
    """What became of each job."""
    return {result["job_id"]: result["outcome"] for result in answer["results"]}
