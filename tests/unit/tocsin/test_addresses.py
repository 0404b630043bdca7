import pytest

from tocsin.addresses import Agent, base_url, healthy_urls, next_index, own_address, parse_agent
from tocsin.settings import Settings, read


def settings(**more: str) -> Settings:
    return read(Settings, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092", **more})


def entry(port: int, status: str, *, address: str = "127.0.0.1") -> dict[str, object]:
    return {
        "Node": {"Address": "127.0.0.9"},
        "Service": {"Address": address, "Port": port},
        "Checks": [{"Status": "passing"}, {"Status": status}],
    }


@pytest.mark.parametrize(
    ("address", "agent"),
    [
        ("consul:8500", Agent("http", "consul", 8500)),
        ("consul", Agent("http", "consul", 8500)),
        ("http://127.0.0.1:18500", Agent("http", "127.0.0.1", 18500)),
        ("https://consul.example", Agent("https", "consul.example", 443)),
        ("http://[::1]:8500/", Agent("http", "[::1]", 8500)),
    ],
)
def test_an_agent_is_given_as_host_port_or_url(address: str, agent: Agent) -> None:
    assert parse_agent(address) == agent


@pytest.mark.parametrize("address", ["ftp://consul", "unix:///run/consul.sock", "http://", "consul:many"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_agent(address)


def test_healthy_replicas_are_preferred() -> None:
    assert healthy_urls([entry(2, "passing"), entry(1, "critical"), entry(3, "warning")]) == ["http://127.0.0.1:2"]


def test_all_replicas_are_offered_when_none_is_healthy() -> None:
    assert healthy_urls([entry(2, "critical"), entry(1, "critical")]) == ["http://127.0.0.1:1", "http://127.0.0.1:2"]


def test_a_service_without_an_address_is_at_its_nodes() -> None:
    assert healthy_urls([entry(1, "passing", address="")]) == ["http://127.0.0.9:1"]


def test_no_replica_is_no_address() -> None:
    assert healthy_urls([]) == []


def test_ipv6_addresses_stand_in_brackets() -> None:
    assert base_url("::1", 9001) == "http://[::1]:9001"


def test_an_index_that_goes_backwards_starts_anew() -> None:
    assert next_index(None, "7") == "7"
    assert next_index("7", "9") == "9"
    assert next_index("9", "7") is None
    assert next_index("9", "0") is None


def test_the_advertised_address_wins_over_the_bound_one() -> None:
    agent = Agent("http", "127.0.0.1", 8500)
    assert own_address(settings(ADVERTISE_HOST="logsvc.internal", BIND_HOST="127.0.0.1"), agent) == "logsvc.internal"
    assert own_address(settings(BIND_HOST="127.0.0.3"), agent) == "127.0.0.3"


def test_a_service_bound_everywhere_advertises_the_address_it_has_towards_consul() -> None:
    assert own_address(settings(BIND_HOST="0.0.0.0"), Agent("http", "127.0.0.1", 8500)) == "127.0.0.1"
