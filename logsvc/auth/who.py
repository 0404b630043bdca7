"""Who asks, and how a request is turned away: plain data."""

from dataclasses import dataclass
from typing import Any, Literal

from tocsin.roles import Role

Kind = Literal["local", "service", "token", "proxy", "session"]
"""How somebody was recognized. local: nobody logs in here, for only this machine gets in."""

SCOPE_KEY = "tocsin.who"


@dataclass(frozen=True)
class Session:
    """A login, as it is in the cookie. Times in ms; issued_ms is the bot's."""

    id: str
    user_id: str
    name: str
    role: Role
    issued_ms: int
    expires_ms: int


@dataclass(frozen=True)
class Who:
    """user_id: see tocsin/access.py. address: where the browser is, as far as proxies we trust tell."""

    kind: Kind
    user_id: str
    name: str
    role: Role
    address: str = ""
    session: Session | None = None
    token_hash: str = ""

    @property
    def shows_secret(self) -> bool:
        """Whether the request itself held a secret. If not, a foreign page could make a browser send it."""
        return self.kind in ("service", "token")


class Denied(Exception):
    """A request that goes no further. retry_after: seconds, where waiting helps."""

    def __init__(self, status: int, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after


def who_of(scope: Any) -> Who:
    """Who the front has let in with this request."""
    return scope[SCOPE_KEY]


def need(scope: Any, role: Role) -> Who:
    """The same, if they have this role. Raises Denied (403)."""
    who = who_of(scope)
    if not who.role.covers(role):
        raise Denied(403, f"that needs the role {role.value}; yours is {who.role.value}")
    return who
