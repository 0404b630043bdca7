"""What INFO says, and that an operator is told once of what may cost jobs."""

from collections.abc import Hashable

import pytest
from structlog.testing import capture_logs

from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.snapshots.server import Server, fill, parse_info
from tocsin.events import VERSION, SourceSnapshot


def seen(*infos: bytes, policy: str = "") -> SourceSnapshot:
    made = SourceSnapshot(v=VERSION, ts=1, env="prod", source="main")
    fill(made, [parse_info(info) for info in infos])
    made.policy = policy or made.policy
    return made


def test_what_info_leaves_out_is_unknown() -> None:
    assert seen() == seen(b"") == SourceSnapshot(v=VERSION, ts=1, env="prod", source="main")
    assert seen(b"role:master").memory_bytes is None


@pytest.mark.parametrize(
    ("info", "server"),
    [
        (b"# Server\r\nredis_version:7.0.15\r\n", "redis 7.0.15"),
        (b"redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\n", "valkey 9.1.2"),
        (b"redis_version:7.4.0\r\nserver_name:dragonfly\r\n", "dragonfly 7.4.0"),
    ],
)
def test_server_is_told_by_its_own_name_and_version(info: bytes, server: str) -> None:
    assert seen(info).server == server


def test_failed_save_and_a_restart_are_told() -> None:
    one = seen(
        b"loading:1\r\nrdb_last_bgsave_status:err\r\nrdb_last_save_time:1795330000\r\naof_enabled:0\r\nrole:slave"
    )
    assert (one.is_loading, one.is_rdb_ok, one.rdb_saved_at, one.is_aof_on) == (True, False, 1_795_330_000_000, False)
    assert (one.is_aof_ok, one.role) == (None, "slave")


def test_of_a_cluster_the_worst_is_told() -> None:
    """One node is nearly full and may evict; another has most clients, and could not save."""
    full = b"used_memory:90\r\nmaxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\nevicted_keys:5\r\nloading:0\r\n"
    crowded = b"used_memory:500\r\nmaxmemory:1000\r\nmaxmemory_policy:noeviction\r\nevicted_keys:2\r\nloading:1\r\n"
    one = seen(
        crowded + b"connected_clients:9\r\nmaxclients:10\r\nrdb_last_bgsave_status:err\r\nrdb_last_save_time:7\r\n",
        full + b"connected_clients:20\r\nmaxclients:1000\r\nrdb_last_bgsave_status:ok\r\nrdb_last_save_time:9\r\n",
    )
    assert (one.memory_bytes, one.max_memory_bytes, one.policy, one.evicted_keys) == (90, 100, "allkeys-lru", 7)
    assert (one.clients, one.max_clients, one.is_rdb_ok, one.rdb_saved_at, one.is_loading) == (9, 10, False, 7000, True)


def warned(server: Server, *looks: SourceSnapshot) -> list[str]:
    with capture_logs() as logs:
        for look in looks:
            server.warn(look, {})
    return [line["event"] for line in logs]


def evicted(server: Server, *looks: dict[Hashable, int]) -> tuple[list[str], list[int]]:
    with capture_logs() as logs:
        fresh = [server.warn(seen(), look) for look in looks]
    return [line["event"] for line in logs], fresh


async def test_policy_is_warned_of_once_per_change() -> None:
    server = Server(Door("redis://127.0.0.1:1"), "prod", "main")
    good, bad, worse = (seen(policy=policy) for policy in ("noeviction", "allkeys-lru", "volatile-ttl"))
    assert warned(server, good, good) == []
    assert warned(server, bad, bad, bad) == ["redis_may_evict"]
    assert warned(server, worse) == ["redis_may_evict"]
    assert warned(server, good, seen(), bad) == ["redis_may_evict"]


async def test_evictions_are_counted_from_the_first_look_on_and_warned_of_when_they_begin() -> None:
    server = Server(Door("redis://127.0.0.1:1"), "prod", "main")
    assert evicted(server, {"a": 7}) == (["redis_evicted_keys"], [0])
    assert evicted(server, {"a": 7}, {"a": 7}) == ([], [0, 0])
    assert evicted(server, {"a": 9}, {"a": 12}) == (["redis_evicted_keys"], [2, 3])
    assert evicted(server, {}) == ([], [0]), "Redis did not say"
    assert evicted(server, {"a": 2}) == ([], [2]), "it was restarted, and goes on evicting"


async def test_evictions_are_counted_node_by_node() -> None:
    """One whose replica takes over, with a count of its own, has evicted nothing."""
    server = Server(Door("redis://127.0.0.1:1"), "prod", "main")
    assert evicted(server, {"a": 0, "b": 200}, {"a": 100, "b": 200}) == (["redis_evicted_keys"] * 1, [0, 100])
    assert evicted(server, {"a": 100, "replica of b": 0}) == ([], [0])
    assert evicted(server, {"a": 100, "replica of b": 3}) == (["redis_evicted_keys"], [3])
