"""Redis over TLS: relayed through it, and refused where the certificate is not what the source's settings ask for."""

from pathlib import Path

import pytest

from tests.certificate import make_certificate
from tests.eventually import eventually
from tests.integration.bridge.by_hand import add_events, make_queue
from tests.integration.bridge.running import Bridge
from tests.ports import free_port
from tests.servers.redis_servers import RedisServer, RedisServers

PASSWORD = "canary-of-tls-4c1d"


async def start_tls(servers: RedisServers, certificate: Path, *, asks_clients: bool) -> tuple[RedisServer, int]:
    """A Redis with a password behind TLS, and a plain port for the app; gives its TLS port."""
    port = free_port()
    files = {"--tls-cert-file": certificate, "--tls-key-file": certificate, "--tls-ca-cert-file": certificate}
    server = await servers.start_redis(
        "tls",
        *("--tls-port", str(port), "--tls-auth-clients", "yes" if asks_clients else "no"),
        *(str(word) for option in files.items() for word in option),
    )
    await server.client.execute_command("ACL", "SETUSER", "tocsin", "on", f">{PASSWORD}", "allkeys", "allcommands")
    return server, port


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
