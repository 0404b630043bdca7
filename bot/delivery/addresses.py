"""Addresses that are secrets themselves: whoever knows one can speak as Tocsin (pure)."""

from ipaddress import ip_address
from urllib.parse import urlsplit


def secret_address(text: str) -> str:
    """Check an address to which something secret goes: https, or http to this machine. Raises ValueError without it."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("expected https://host/…") from None
    if not host or parts.scheme not in ("https", "http"):
        raise ValueError("expected https://host/…")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("expected https://: its path is a secret, and http shows it to everybody on the way")
    return text


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def host_of(url: str) -> str:
    """What may be shown of such an address."""
    return urlsplit(url).hostname or ""
