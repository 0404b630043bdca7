"""Addresses: what settings say, what Consul answers, which one this process is reached at. It asks nobody."""

import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:  # so that the settings can use parse_agent
    from tocsin.settings import Settings


@dataclass(frozen=True)
class Agent:
    """Address of a Consul agent and how to speak to it."""

    scheme: str
    host: str
    port: int


def parse_agent(address: str) -> Agent:
    """Read CONSUL_HTTP_ADDR: `host`, `host:port` or an URL; the port defaults to 8500, to 443 for https."""
    wrong = "expected host:port or an http(s) URL"
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        port = parts.port
    except ValueError:  # its message quotes the address
        raise ValueError(wrong) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(wrong)
    return Agent(parts.scheme, _bracketed(parts.hostname), port or (443 if parts.scheme == "https" else 8500))


def own_address(settings: "Settings", agent: Agent) -> str:
    """The address others reach this process at: ADVERTISE_HOST, else BIND_HOST, else the one this host has on the way
    to Consul (found by a connected UDP socket, which sends nothing). May look a name up: call it off the loop.
    """
    if settings.advertise_host:
        return settings.advertise_host
    if settings.bind_host not in ("0.0.0.0", "::", ""):
        return settings.bind_host
    try:
        family, kind, _, _, peer = socket.getaddrinfo(agent.host.strip("[]"), agent.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(peer)
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()


def healthy_urls(entries: list[dict[str, Any]]) -> list[str]:
    """Base URLs in an answer of /v1/health/service, sorted: the passing ones, or all if none passes."""
    urls = {"passing": set[str](), "other": set[str]()}
    for entry in entries:
        service = entry["Service"]
        is_passing = all(check["Status"] == "passing" for check in entry["Checks"])
        host = service["Address"] or entry["Node"]["Address"]
        urls["passing" if is_passing else "other"].add(base_url(host, service["Port"]))
    return sorted(urls["passing"] or urls["other"])


def next_index(index: str | None, answered: str) -> str | None:
    """The index of the next blocking query; None = start anew, because it went backwards (Consul's own rule)."""
    value = int(answered)
    return None if value < 1 or (index is not None and value < int(index)) else answered


def base_url(host: str, port: int) -> str:
    """`http://host:port`, brackets around an IPv6 address."""
    return f"http://{_bracketed(host)}:{port}"


def _bracketed(host: str) -> str:
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host
