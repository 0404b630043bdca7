"""What INFO says, and that an operator is told once of what may cost jobs."""

import pytest
from structlog.testing import capture_logs

from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.server import Server, fill, parse_info
from tocsin.events import VERSION, SourceSnapshot


def seen(info: bytes = b"", **more: str | int) -> SourceSnapshot:
    made = SourceSnapshot(v=VERSION, ts=1, env="prod", source="main")
    fill(made, parse_info(info))
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_what_info_leaves_out_is_unknown() -> None:
    assert seen() == SourceSnapshot(v=VERSION, ts=1, env="prod", source="main", server="redis")


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


def warned(server: Server, *looks: SourceSnapshot) -> tuple[list[str], list[int]]:
    with capture_logs() as logs:
        fresh = [server.warn(look) for look in looks]
    return [line["event"] for line in logs], fresh


async def test_policy_is_warned_of_once_per_change() -> None:
    server = Server(Door("redis://127.0.0.1:1"), "prod", "main")
    good, bad, worse = (seen(policy=policy) for policy in ("noeviction", "allkeys-lru", "volatile-ttl"))
    assert warned(server, good, good) == ([], [0, 0])
    assert warned(server, bad, bad, bad)[0] == ["redis_may_evict"]
    assert warned(server, worse)[0] == ["redis_may_evict"]
    assert warned(server, good, seen(policy=""), bad)[0] == ["redis_may_evict"]


async def test_evictions_are_counted_from_the_first_look_on_and_warned_of_when_they_begin() -> None:
    server = Server(Door("redis://127.0.0.1:1"), "prod", "main")
    assert warned(server, seen(evicted_keys=7)) == (["redis_evicted_keys"], [0])
    assert warned(server, seen(evicted_keys=7), seen(evicted_keys=7)) == ([], [0, 0])
    assert warned(server, seen(evicted_keys=9), seen(evicted_keys=12)) == (["redis_evicted_keys"], [2, 3])
    assert warned(server, seen()) == ([], [0]), "Redis did not say"
    assert warned(server, seen(evicted_keys=2)) == ([], [2]), "it was restarted, and goes on evicting"
