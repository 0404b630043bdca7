"""The proxy's lines on the API: a real HAProxy sends them by syslog, others by TCP."""

import asyncio
from pathlib import Path

import httpx

from tests.eventually import eventually
from tests.haproxy import running_proxy
from tests.integration.logsvc.house import House
from tests.ports import free_port


async def test_the_proxys_lines_are_a_services_lines(home: House, tmp_path: Path) -> None:
    syslog = free_port()
    home.environ["LOGSVC_SYSLOG_PORT"] = str(syslog)
    await home.start()
    await home.ready()
    environ = {"LOGSVC_ADDRESS": f"127.0.0.1:{home.port}", "PROXY_SYSLOG": f"127.0.0.1:{syslog}"}
    async with (
        running_proxy(tmp_path, environ) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
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
        rows = (await home.json("/api/v1/logs", service="proxy", limit=1000))["items"]
        said = {(row["level"], row["message"].partition("\n")[0]) for row in rows}
        return {("warn", "counted"), ("error", "by line")} <= said and any(
            "/api/v1/queues" in row["message"] and " 200 " in row["message"] for row in rows
        )

    await eventually(told, seconds=60, what="the proxy's lines in the history")
    writer.close()
    assert (await home.json("/api/v1/logs", service="logsvc"))["items"] == []
