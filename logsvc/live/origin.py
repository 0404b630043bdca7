"""Who may open the live stream or call the API from a browser: pages of our own, and nobody else's.

A browser says which page asks (Origin) and lets any page open a WebSocket anywhere, so the server must look. It looks
at the Host too: a page whose name was made to point at this machine (DNS rebinding) is "same origin" with itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from logsvc.settings import is_loopback


@dataclass(frozen=True)
class Gate:
    """public_host: host[:port] of PUBLIC_URL, without a default port; None if unset. others: the same of pages that
    LOGSVC_ALLOWED_ORIGINS names. port: where our page is served; WEBSOCKET_PORT is another."""

    public_host: str | None = None
    others: frozenset[str] = frozenset()
    port: int = 0

    @classmethod
    def of(cls, public_url: str | None, others: Iterable[str] = (), port: int = 0) -> "Gate":
        named = frozenset(netloc for one in others if (netloc := _netloc(one)))
        return cls(_netloc(public_url) if public_url else None, named, port)

    def admits(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether a request with these headers comes from a place we know. Programs send no Origin; that is fine."""
        found = {name: value.decode("latin-1") for name, value in headers if name in (b"host", b"origin")}
        host = found.get(b"host", "")
        if not self._is_ours(host):
            return False
        origin = found.get(b"origin")
        if origin is None:
            return True
        source = _netloc(origin)
        # Another port of this machine is another app's page, which may be anybody's.
        own = f"{host.lower().removesuffix(_port(host))}:{self.port}"
        return source is not None and (source in (host.lower(), self.public_host, own) or source in self.others)

    def _is_ours(self, netloc: str) -> bool:
        return netloc.lower() == self.public_host or is_loopback(_hostname(netloc))


def _netloc(url: str) -> str | None:
    """Lower-case host[:port] of an http(s) URL, without the scheme's own port; None if it is no such URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    own = {"http": 80, "https": 443}[parts.scheme]
    return host if port in (None, own) else f"{host}:{port}"


def _port(netloc: str) -> str:
    """`:9001`, or nothing."""
    rest = netloc.rpartition("]")[2]
    return rest[rest.index(":") :] if ":" in rest else ""


def _hostname(netloc: str) -> str:
    if netloc.startswith("["):
        return netloc.partition("]")[0].lstrip("[")
    return netloc.partition(":")[0]
