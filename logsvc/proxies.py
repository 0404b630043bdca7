"""What a proxy in front may tell of who asks: the browser's address and, if it is set so, the person's name."""

import fnmatch
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tocsin.roles import Role

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LONGEST_NAME = 200
NOBODY = "none"
"""In LOGSVC_PROXY_ROLES: who the glob fits is not let in."""


@dataclass(frozen=True)
class ProxyRole:
    """People whose name fits the glob have this role; None = they are not let in."""

    glob: str
    role: Role | None


def parse_networks(text: str) -> tuple[Network, ...]:
    """Read `address or network, …`. Raises ValueError."""
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError("expected addresses or networks, comma-separated: 10.0.0.5, 10.1.0.0/16") from None


def parse_roles(text: str) -> tuple[ProxyRole, ...]:
    """Read `glob=role, …`. Raises ValueError."""
    return tuple(_role(part.strip()) for part in text.split(",") if part.strip())


def _role(text: str) -> ProxyRole:
    glob, _, word = text.rpartition("=")
    glob, word = glob.strip(), word.strip().lower()
    if not glob or "=" in glob or word not in (*(role.value for role in Role), NOBODY):
        raise ValueError("expected GLOB=ROLE, comma-separated; the roles are viewer, operator, admin and none")
    return ProxyRole(glob, None if word == NOBODY else Role(word))


@dataclass(frozen=True)
class Proxies:
    """networks: where a proxy we trust may be. user_header: lower case; empty = no proxy tells who somebody is."""

    networks: Sequence[Network] = ()
    user_header: str = ""
    roles: Sequence[ProxyRole] = ()

    def trusts(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:  # a Unix socket, or nothing
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self.networks)

    def address(self, peer: str, headers: Mapping[str, Sequence[str]]) -> str:
        """Where the browser is: of X-Forwarded-For the last address that is no proxy of ours, else the peer's."""
        if not self.trusts(peer):
            return peer
        hops = [hop.strip() for line in headers.get("x-forwarded-for", ()) for hop in line.split(",")]
        for hop in reversed(hops):
            if not _is_address(hop):
                break
            if not self.trusts(hop):
                return hop
        return peer

    def person(self, peer: str, headers: Mapping[str, Sequence[str]]) -> str | None:
        """Who the proxy says it is; None if it says nothing, says two things, or is no proxy of ours."""
        if not self.user_header or not self.trusts(peer):
            return None
        given = headers.get(self.user_header, ())
        name = given[0].strip() if len(given) == 1 else ""
        return name if name and len(name) <= LONGEST_NAME and name.isprintable() else None

    def role_of(self, person: str) -> Role | None:
        """The role of the first glob that fits, without regard to case; a viewer where none does."""
        for one in self.roles:
            if fnmatch.fnmatchcase(person.lower(), one.glob.lower()):
                return one.role
        return Role.VIEWER


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, list[str]]:
    """ASGI's headers by name, every value of each."""
    found: dict[str, list[str]] = {}
    for name, value in raw:
        found.setdefault(name.decode("latin-1"), []).append(_text(value))
    return found


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
