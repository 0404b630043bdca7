"""Redis over TLS, in every shape: relayed, and refused where its certificate is not what the settings ask for."""

from pathlib import Path
from typing import Any

import pytest

from tests.certificate import make_certificate
from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.test_cluster import app_of
from tests.servers.redis_servers import RedisServer, RedisServers, copied, owner_of, slot_of

PASSWORD = "canary-of-tls-4c1d"


async def start_tls(servers: RedisServers, certificate: Path, *, asks_clients: bool) -> tuple[RedisServer, int]:
    """A Redis with a password behind TLS, and a plain port for the app; gives its TLS port."""
    asks = ("--tls-auth-clients", "yes" if asks_clients else "no")
    server = await servers.start_redis("tls", *asks, certificate=certificate)
    await server.client.execute_command("ACL", "SETUSER", "tocsin", "on", f">{PASSWORD}", "allkeys", "allcommands")
    return server, server.tls_port


def source(port: int, *, host: str = "127.0.0.1", tls: str) -> str:
    """A sources file."""
    return f"""
        [[source]]
        name = "main"
        url = "rediss://{host}:{port}/0"
        credentials = {{ username = "tocsin", password = "{PASSWORD}" }}
        tls = {{ {tls} }}
    """


@pytest.mark.parametrize("asks_clients", [False, True])
async def test_redis_behind_tls_is_relayed(
    unset_bridge: Bridge, servers: RedisServers, tmp_path: Path, asks_clients: bool
) -> None:
    certificate = make_certificate(tmp_path)
    server, port = await start_tls(servers, certificate, asks_clients=asks_clients)
    ours = f', cert_file = "{certificate}", key_file = "{certificate}"' if asks_clients else ""
    unset_bridge.watch(source(port, tls=f'ca_file = "{certificate}"{ours}'))
    await make_queue(server.client, "mail")
    await add_events(server.client, "mail", 100)
    await unset_bridge.start()

    async def are_told() -> bool:
        return len((await unset_bridge.records()).of_queue("mail")) == 100

    await eventually(are_told, what="all events")
    await unset_bridge.ready()
    clients = await server.client.client_list()
    assert {client["user"] for client in clients if client["name"] == "tocsin-bridge"} == {"tocsin"}
    assert await unset_bridge.metric("bridge_source_errors_total") == 0


async def test_certificate_of_another_ca_is_refused(
    unset_bridge: Bridge, servers: RedisServers, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    _, port = await start_tls(servers, make_certificate(tmp_path), asks_clients=False)
    unset_bridge.watch(source(port, tls=f'ca_file = "{make_certificate(tmp_path / "other")}"'))
    await assert_refused(unset_bridge)


@pytest.mark.parametrize("is_checked", [True, False])
async def test_certificate_of_another_host_is_refused_unless_the_source_says_so(
    unset_bridge: Bridge, servers: RedisServers, tmp_path: Path, is_checked: bool
) -> None:
    certificate = make_certificate(tmp_path)
    server, port = await start_tls(servers, certificate, asks_clients=False)
    await make_queue(server.client, "mail")
    check = f"check_hostname = {str(is_checked).lower()}"
    unset_bridge.watch(source(port, host="127.0.0.2", tls=f'ca_file = "{certificate}", {check}'))
    await server.client.config_set("bind", "127.0.0.1 127.0.0.2")
    if is_checked:
        await assert_refused(unset_bridge)
    else:
        await unset_bridge.start()
        await unset_bridge.ready()
        assert "tls_hostname_unchecked" in unset_bridge.log


async def test_cluster_is_relayed_over_tls_alone(unset_bridge: Bridge, servers: RedisServers, tmp_path: Path) -> None:
    """One node is named; whoever asks by TLS is told the TLS ports of the others."""
    bridge, certificate = unset_bridge, make_certificate(tmp_path)
    nodes = await servers.start_cluster(3, certificate=certificate)
    queues = [f"{{queue-{number}}}" for number in range(6)]
    assert len({(await owner_of(nodes, slot_of(queue))).port for queue in queues}) == 3
    async with app_of(nodes[0]) as app:
        for queue in queues:
            await make_queue(app, queue)
            await add_events(app, queue, 10)
    bridge.watch(f"""
        [[source]]
        name = "main"
        mode = "cluster"
        nodes = ["127.0.0.1:{nodes[0].tls_port}"]
        tls = {{ ca_file = "{certificate}" }}
    """)
    await bridge.start()

    async def are_told() -> bool:
        return len((await bridge.records()).jobs) == 60

    await eventually(are_told, what="all events of all nodes")
    assert await bridge.metric("bridge_source_errors_total") == 0
    await assert_connected_by_tls_alone(nodes)


async def test_sentinels_and_whom_they_name_are_asked_over_tls_alone(
    unset_bridge: Bridge, servers: RedisServers, tmp_path: Path
) -> None:
    bridge, certificate = unset_bridge, make_certificate(tmp_path)
    login: dict[str, Any] = {"password": PASSWORD, "certificate": certificate}
    secret = ("--requirepass", PASSWORD, "--masterauth", PASSWORD)
    primary = await servers.start_redis("primary", *secret, **login)
    follows = ("--replicaof", f"127.0.0.1 {primary.tls_port}")
    replica = await servers.start_redis("replica", *secret, *follows, **login)
    sentinel = await servers.start_sentinel("sentinel", "watched", primary, quorum=1, own_password=PASSWORD, **login)
    await make_queue(primary.client, "mail")
    await add_events(primary.client, "mail", 10)
    await copied(primary, 1)
    bridge.watch(f"""
        [[source]]
        name = "main"
        mode = "sentinel"
        nodes = ["127.0.0.1:{sentinel.tls_port}"]
        master = "watched"
        credentials = {{ password = "{PASSWORD}", sentinel_password = "{PASSWORD}" }}
        tls = {{ ca_file = "{certificate}" }}
    """)
    await bridge.start()

    async def are_told(count: int) -> bool:
        return len((await bridge.records()).of_queue("mail")) == count

    await eventually(lambda: are_told(10), what="all events")
    await assert_connected_by_tls_alone([primary])

    async def names(what: str, value: int) -> bool:
        return (await sentinel.client.sentinel_masters())["watched"][what] == value

    await eventually(lambda: names("num-slaves", 1), what="a replica that the sentinel knows")
    await sentinel.client.execute_command("SENTINEL", "FAILOVER", "watched")
    await eventually(lambda: names("port", replica.tls_port), what="another primary")
    await add_events(replica.client, "mail", 10, first=10)
    await eventually(lambda: are_told(20), what="the new primary's events")
    await assert_connected_by_tls_alone([replica])


async def assert_connected_by_tls_alone(servers: list[RedisServer]) -> None:
    """The bridge has connections to each of these, all to their TLS ports."""
    for server in servers:
        clients = await server.client.client_list()
        ports = {int(client["laddr"].rpartition(":")[2]) for client in clients if client["name"] == "tocsin-bridge"}
        assert ports == {server.tls_port}, server.name


async def assert_refused(bridge: Bridge) -> None:
    """It says why, keeps trying, is not ready, and tells no secret."""
    await bridge.start()

    async def has_failed() -> bool:
        return "source_unreachable" in bridge.log

    await eventually(has_failed, what="a certificate refused")
    assert "CERTIFICATE_VERIFY_FAILED" in bridge.log
    assert PASSWORD not in bridge.log
    assert bridge.process is not None
    assert bridge.process.returncode is None
