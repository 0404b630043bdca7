"""Tocsin's own lines and the proxy's on the API: a real HAProxy sends them by syslog, others by TCP; none make more."""

import asyncio
import json
from pathlib import Path

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.eventually import READY_SECONDS, eventually
from tests.integration.logsvc.house import House
from tests.ports import free_port
from tests.servers.haproxy import running_proxy

AT_ONCE = 100


async def lines_of(home: House, service: str) -> list[tuple[str, str]]:
    """Levels and first lines."""
    rows = (await home.json("/api/v1/logs", service=service, limit=1000))["items"]
    return [(row["level"], row["message"].partition("\n")[0]) for row in rows]


async def services_until(viewer: ClientConnection, events: int) -> set[str]:
    """Whose lines a viewer is shown until it has seen so many events."""
    services: list[str] = []
    async with asyncio.timeout(READY_SECONDS):
        while services.count("") < events:
            frame = json.loads(await viewer.recv())
            assert not frame.get("dropped")
            services += [row.get("service", "") for row in frame.get("rows", ())]
    return {service for service in services if service}


async def test_tocsins_own_and_the_proxys_lines_are_shown_and_make_no_further_ones(home: House, tmp_path: Path) -> None:
    syslog = free_port()
    home.environ |= {"LOGSVC_SYSLOG_PORT": str(syslog), "LOG_TO_KAFKA": "true"}
    await home.start()
    await home.ready()
    environ = {"LOGSVC_ADDRESS": f"127.0.0.1:{home.port}", "PROXY_SYSLOG": f"127.0.0.1:{syslog}"}
    async with (
        running_proxy(tmp_path, environ) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=READY_SECONDS) as client,
    ):

        async def is_up() -> bool:
            return (await client.get("/api/v1/queues")).status_code == 200

        await eventually(is_up, what="logsvc behind the proxy")
        _, writer = await asyncio.open_connection("127.0.0.1", syslog)
        counted = b"<28>1 - - haproxy - - - counted\nin two lines"
        writer.write(b"%d %s<27>Nov 22 06:15:12 haproxy[1]: by line\n" % (len(counted), counted))
        writer.write(b"99999 too long")
        await writer.drain()

        async def told() -> bool:
            said = await lines_of(home, "proxy") if await home.all_stored() else []
            return {("warn", "counted"), ("error", "by line")} <= set(said) and any(
                "/api/v1/queues" in message and " 200 " in message for _, message in said
            )

        await eventually(told, what="the proxy's lines in the history")
        writer.close()

        async def own_are_told() -> bool:
            return await home.all_stored() and bool(await lines_of(home, "logsvc"))

        await eventually(own_are_told, what="logsvc's own lines in the history")
        assert await lines_of(home, "bridge") == []
        await expect_quiet(home, f"ws://127.0.0.1:{port}/api/v1/live")
    text = (await home.get("/metrics")).text
    assert 'logsvc_log_lines_total{outcome="sent"}' in text


async def expect_quiet(home: House, live: str) -> None:
    """In time, a round of all that is done, storing and showing Tocsin's own lines too, makes no line."""
    rounds = 0

    async def own_lines() -> int:
        return sum([len(await lines_of(home, service)) for service in ("logsvc", "proxy")])

    async with connect(live) as viewer:

        async def quiet_while_it_works() -> bool:
            nonlocal rounds
            before = await own_lines()
            await home.produce([home.event(rounds * AT_ONCE + n) for n in range(AT_ONCE)])
            rounds += 1
            shown = await services_until(viewer, AT_ONCE)
            await home.stored(rounds * AT_ONCE + before)
            return not shown and await own_lines() == before

        assert json.loads(await viewer.recv())["type"] == "hello"
        await eventually(quiet_while_it_works, what="a round of work without a line")
