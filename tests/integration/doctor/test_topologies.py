"""`tocsin doctor` on sources of every mode: what is well, and what is wrong with its mend, without any secret."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.certificate import make_certificate
from tests.eventually import eventually
from tests.integration.bridge.test_actions_user import action_rules, cluster_rules
from tests.integration.bridge.test_read_only import documented_rules
from tests.integration.doctor.findings import WRONG, only
from tests.ports import free_port
from tests.servers.redis_servers import RedisServer, RedisServers, redis_servers
from tocsin.doctor import Finding, Verdict
from tocsin.doctor.redis import check_redis

SENTINEL_PASSWORD = "canary-of-sentinel-41aa"


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncGenerator[RedisServers]:
    """Starts the Redis of a test, in any shape."""
    async with redis_servers(tmp_path / "redis") as made:
        yield made


async def examined(folder: Path, source: str) -> list[Finding]:
    """What the doctor says of one source."""
    file = folder / "sources.toml"
    file.write_text(f'[[source]]\nname = "shop"\n{source}\n')
    findings = await check_redis({"TOCSIN_SOURCES_FILE": str(file)})
    assert WRONG not in str(findings)
    assert SENTINEL_PASSWORD not in str(findings)
    return findings


def cluster(nodes: list[RedisServer], more: str = "") -> str:
    """A cluster that is told by its first node."""
    return f'mode = "cluster"\nnodes = ["{nodes[0].address}"]\n{more}'


async def test_a_cluster_is_looked_at_node_by_node(servers: RedisServers, tmp_path: Path) -> None:
    nodes = await servers.start_cluster(3)
    found = await examined(tmp_path, cluster(nodes))
    assert only(found, Verdict.WARN).check == "Redis shop queues", "said once, not for each node"
    for node in nodes:
        await node.client.execute_command("ACL", "SETUSER", "tocsin", *documented_rules())
    login = 'credentials = { username = "tocsin", password = "reading" }'
    assert "+cluster|slots" in only(await examined(tmp_path, cluster(nodes, login)), Verdict.BAD).mend
    for node in nodes:
        await node.client.execute_command("ACL", "SETUSER", "tocsin", "+cluster|slots")
    poor = [one for one in await examined(tmp_path, cluster(nodes, login)) if one.verdict is Verdict.BAD]
    assert len(poor) == 3, "rights are each node's own"
    for node, finding in zip(sorted(nodes, key=lambda node: node.address), poor, strict=True):
        assert node.address in finding.check
        await node.client.execute_command(*finding.mend.removeprefix("redis-cli ").split())
    assert {one.verdict for one in await examined(tmp_path, cluster(nodes, login))} == {Verdict.OK, Verdict.WARN}


async def test_a_wrong_mode_is_named_with_the_right_one(servers: RedisServers, tmp_path: Path) -> None:
    nodes = await servers.start_cluster(3)
    alone = await servers.start("alone")
    given_alone = only(await examined(tmp_path, f'url = "{nodes[0].url}"'), Verdict.BAD)
    assert 'mode = "cluster"' in given_alone.mend
    given_cluster = only(await examined(tmp_path, cluster([alone])), Verdict.BAD)
    assert 'mode = "standalone"' in given_cluster.mend


async def test_what_sentinels_say_is_followed_and_their_refusal_named(servers: RedisServers, tmp_path: Path) -> None:
    primary = await servers.start("primary", "--requirepass", "right", password="right")
    sentinel = await servers.start_sentinel(
        "sentinel", "mymaster", primary, quorum=1, password="right", own_password=SENTINEL_PASSWORD
    )

    async def is_seen() -> bool:
        return "mymaster" in await sentinel.client.sentinel_masters()

    await eventually(is_seen, what="a watched primary")

    def source(password: str, sentinel_password: str, master: str = "mymaster") -> str:
        login = f'{{ password = "{password}", sentinel_password = "{sentinel_password}" }}'
        return f'mode = "sentinel"\nnodes = ["{sentinel.address}"]\nmaster = "{master}"\ncredentials = {login}'

    well = await examined(tmp_path, source("right", SENTINEL_PASSWORD))
    assert any(primary.address in finding.found for finding in well)
    assert {finding.verdict for finding in well} == {Verdict.OK, Verdict.WARN}
    wrong = only(await examined(tmp_path, source(WRONG, SENTINEL_PASSWORD)), Verdict.BAD)
    assert "password" in wrong.found
    assert "TOCSIN_SOURCES_FILE" in wrong.found
    assert "no sentinel tells" in only(await examined(tmp_path, source("right", WRONG)), Verdict.BAD).found
    other = only(await examined(tmp_path, source("right", SENTINEL_PASSWORD, "other")), Verdict.BAD)
    assert "no sentinel tells where other is" in other.found


async def test_a_ca_that_signed_nothing_here_is_named(servers: RedisServers, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    certificate, other = make_certificate(tmp_path), make_certificate(tmp_path / "other")
    port = (await servers.start_redis("tls", certificate=certificate)).tls_port
    url = f'url = "rediss://:{WRONG}@127.0.0.1:{port}"'
    wrong = only(await examined(tmp_path, f'{url}\ntls = {{ ca_file = "{other}" }}'), Verdict.BAD)
    assert "TLS failed" in wrong.found
    assert "tls.ca_file" in wrong.mend
    right = f'url = "rediss://127.0.0.1:{port}"\ntls = {{ ca_file = "{certificate}" }}'
    assert all(finding.verdict is not Verdict.BAD for finding in await examined(tmp_path, right))


async def test_a_replica_is_looked_at_too(servers: RedisServers, tmp_path: Path) -> None:
    primary = await servers.start("primary")
    replica = await servers.start("replica", "--replicaof", f"127.0.0.1 {primary.port}")
    source = f'url = "{primary.url}"\nnodes = ["{replica.address}"]\nread_from = "replica"'

    async def follows() -> bool:
        return (await replica.client.info("replication"))["master_link_status"] == "up"

    await eventually(follows, what="a replica that follows")
    assert any(finding.check == "Redis shop replica" for finding in await examined(tmp_path, source))
    await replica.client.replicaof("127.0.0.1", str(free_port()))
    stale = [finding for finding in await examined(tmp_path, source) if "does not follow" in finding.found]
    assert [finding.verdict for finding in stale] == [Verdict.WARN]
    await replica.kill()
    assert only(await examined(tmp_path, source), Verdict.BAD).check == "Redis shop replica"


async def test_the_login_of_actions_is_tried_on_every_node_and_writes_nothing(
    servers: RedisServers, tmp_path: Path
) -> None:
    nodes = await servers.start_cluster(3)

    async def said() -> list[Finding]:
        login = f'actions = {{ username = "actor", password = "{WRONG}" }}'
        found = await examined(tmp_path, cluster(nodes, login))
        return [one for one in found if one.check.startswith("Redis shop actions")]

    async def may(*rules: str) -> None:
        for node in nodes:
            await node.client.execute_command("ACL", "SETUSER", "actor", *rules)

    assert only(await said(), Verdict.BAD).found.startswith("no node of the cluster answers")
    await may(*action_rules(), "resetpass", f">{WRONG}", *cluster_rules(), "-evalsha", "resetkeys")
    for rule in ("+evalsha", "~bull:*"):
        poor = await said()
        assert [one.found for one in poor] == [f"user actor lacks {rule}"] * 3
        assert sum(node.address in finding.check for node in nodes for finding in poor) == 3, "each node by its address"
        assert all(rule in finding.mend for finding in poor)
        await may(rule)
    assert [one.verdict for one in await said()] == [Verdict.OK]
    assert [await node.client.dbsize() for node in nodes] == [0, 0, 0]


async def test_a_reading_login_is_not_used_for_actions(servers: RedisServers, tmp_path: Path) -> None:
    alone = await servers.start("alone")
    await alone.client.execute_command("ACL", "SETUSER", "reader", "on", ">reading", "~*", "+@all")
    url = f'url = "redis://reader:reading@{alone.address}/0"\nactions = {{ username = "actor", password = "{WRONG}" }}'
    assert "refused user actor" in only(await examined(tmp_path, url), Verdict.BAD).found
    await alone.client.execute_command("ACL", "SETUSER", "actor", *action_rules(), "resetpass", f">{WRONG}")
    (finding,) = [one for one in await examined(tmp_path, url) if one.check == "Redis shop actions"]
    assert finding.verdict is Verdict.OK
