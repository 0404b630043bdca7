"""The Redis user of the documents, on the oldest Redis we ask for: everything is relayed, nothing is refused."""

from pathlib import Path

from tests.bullmq.driver import run_workload
from tests.eventually import eventually
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.test_read_only import QUEUES, documented_rules, writes
from tests.integration.bridge.truth import differences, has_ended
from tests.servers.redis_servers import RedisServers

UNKNOWN_BEFORE_7_2 = "+client|setinfo"


async def test_everything_is_relayed_under_the_documented_user_of_redis_7_0(
    unset_bridge: Bridge, servers: RedisServers, tmp_path: Path
) -> None:
    bridge = unset_bridge
    server = await servers.start_redis("redis")
    rules = [rule for rule in documented_rules() if rule != UNKNOWN_BEFORE_7_2]
    await server.client.execute_command("ACL", "SETUSER", "tocsin", *rules)
    (tmp_path / "password").write_text("reading\n")
    bridge.watch(f"""
        [[source]]
        name = "main"
        url = "{server.url}"
        credentials = {{ username = "tocsin", password_file = "{tmp_path}/password" }}
    """)
    truth = await run_workload(server.url, version=6, jobs=150, queues=QUEUES, ephemeral="gone")
    await server.client.config_resetstat()
    await bridge.start()

    async def is_told() -> bool:
        records = await bridge.records()
        return has_ended(records, truth) and {snapshot.queue for snapshot in records.queues} == set(QUEUES)

    await eventually(is_told, what="every job's end in Kafka")
    records = await bridge.records()
    await bridge.stop()

    assert differences(records, truth) == []
    assert {snapshot.workers for snapshot in records.queues} == {0}
    assert await server.client.acl_log() == []
    assert await writes(server.client) == {}
