"""In which order the bridge stops: first nobody is sent here any more, then what is under way is finished."""

import signal
from typing import Any

import httpx

from tests.eventually import READY_SECONDS, eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import ROOT, Bridge
from tests.servers.consul_agent import running_agent


async def test_consul_forgets_the_bridge_before_its_last_transaction_ends(bridge: Bridge, app: Any) -> None:
    """A commit that takes an hour holds the drain up for as long as a partition may take to leave."""
    await make_queue(app, "mail")
    await add_events(app, "mail", 1)
    async with running_agent() as agent:
        bridge.environ |= {"CONSUL_HTTP_ADDR": agent.address, "KAFKA_PARTITIONS": "1"}
        await bridge.start(str(ROOT / "tests/integration/bridge/faulty_kafka.py"), "stuck")

        async def is_registered() -> bool:
            return bool(await agent.get("/v1/agent/services"))

        async def is_forgotten() -> bool:
            return not await is_registered()

        await eventually(is_registered, what="the bridge in Consul")
        await bridge.ready()
        bridge.signal(signal.SIGTERM)
        await eventually(is_forgotten, what="the bridge out of Consul")
        async with httpx.AsyncClient(timeout=READY_SECONDS) as client:
            answer = await client.get(f"http://127.0.0.1:{bridge.environ['BRIDGE_PORT']}/health/ready")
        assert (answer.status_code, answer.json()["missing"][:1]) == (503, ["draining"])
        await bridge.ended()
