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
    """public: origin of PUBLIC_URL; None if unset. others: of the pages that LOGSVC_ALLOWED_ORIGINS names. port: where
    our page is served; WEBSOCKET_PORT is another."""

    public: str | None = None
    others: frozenset[str] = frozenset()
    port: int = 0

    @classmethod
    def of(cls, public_url: str | None, others: Iterable[str] = (), port: int = 0) -> "Gate":
        named = frozenset(origin for one in others if (origin := _origin(one)))
        return cls(_origin(public_url) if public_url else None, named, port)

    def admits(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether a request with these headers comes from a place we know. Programs send no Origin; that is fine."""
        found = {name: value.decode("latin-1") for name, value in headers if name in (b"host", b"origin")}
        host = found.get(b"host", "").lower()
        is_here = is_loopback(_hostname(host))
        if not is_here and not self._is_public(host):
            return False
        if b"origin" not in found:
            return True
        origin = _origin(found[b"origin"])
        if origin is None:
            return False
        # Another port of this machine is another app's page, which may be anybody's.
        own = f"{host.removesuffix(_port(host))}:{self.port}"
        is_own = is_here and _netloc(origin) in (host, own)
        return is_own or origin == self.public or origin in self.others

    def _is_public(self, host: str) -> bool:
        """By any port: who has our name has us, at WEBSOCKET_PORT too."""
        return self.public is not None and _hostname(host) == _hostname(_netloc(self.public))


def _origin(url: str) -> str | None:
    """Lower-case scheme://host[:port] of an http(s) URL, without the scheme's own port; None if it is no such URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    own = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" if port in (None, own) else f"{parts.scheme}://{host}:{port}"


def _netloc(origin: str) -> str:
    return origin.partition("://")[2]


def _port(netloc: str) -> str:
    """`:9001`, or nothing."""
    rest = netloc.rpartition("]")[2]
    return rest[rest.index(":") :] if ":" in rest else ""


def _hostname(netloc: str) -> str:
    if netloc.startswith("["):
        return netloc.partition("]")[0].lstrip("[")
    return netloc.partition(":")[0]
