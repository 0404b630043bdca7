"""What logsvc asks of the bot about people: login links, tokens, who may no longer. See docs/login.md.

A person is a text: Telegram's number of theirs, or `link:NAME`, `proxy:NAME`, `token:ID`. Times are RFC 3339 UTC. Of a
link and of a token the bot keeps the SHA-256: they are random, so nobody finds one by its hash.
"""

import hashlib
import secrets
from typing import Annotated

import msgspec

from tocsin.roles import Role

LONGEST_SECRET = 200
"""Characters of a ticket or token; what is longer was never given out."""
TOKEN_PREFIX = "tocsin_"
SESSION, PERSON = "session:", "user:"
"""What stands before the id in Ended.subject."""


def new_secret(prefix: str = "") -> str:
    """A secret for a URL or a header: 256 random bits."""
    return f"{prefix}{secrets.token_urlsafe(32)}"


def hash_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


class RedeemRequest(msgspec.Struct, kw_only=True):
    """Body of POST /internal/v1/login/redeem. address: of the browser, for the audit."""

    ticket: str
    address: str = ""


class Redeemed(msgspec.Struct, kw_only=True):
    """Its answer. issued_at: by the clock that also tells when somebody's sessions were ended."""

    user_id: str
    name: str
    role: Role
    issued_at: str
    expires_at: str


class EndRequest(msgspec.Struct, kw_only=True):
    """Body of POST /internal/v1/login/end: log out one session, or everywhere. until: when it would end anyway."""

    user_id: str
    name: str
    session_id: str
    until: str
    everywhere: bool = False
    address: str = ""


class Arrival(msgspec.Struct, kw_only=True):
    """Body of POST /internal/v1/login/arrived: whom a proxy let in, or would have; the audit has each request_id once.
    role: null = LOGSVC_PROXY_ROLES lets them not in."""

    request_id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
    user_id: str
    name: str
    role: Role | None
    address: str
    at: str


class KnownToken(msgspec.Struct, kw_only=True):
    """An API token that is good. expires_at: null = does not end by itself."""

    id: str
    name: str
    role: Role
    hash: str
    expires_at: str | None


class Ended(msgspec.Struct, kw_only=True):
    """`session:ID`, or all sessions of `user:ID`, that began up to then are over."""

    subject: str
    at: str


class AccessList(msgspec.Struct, kw_only=True):
    """Answer of GET /internal/v1/access: whom to let in by a token, and whom no longer by a session."""

    as_of: str
    tokens: list[KnownToken]
    ended: list[Ended]


class NewToken(msgspec.Struct, kw_only=True):
    """Body of POST /internal/v1/tokens. user_id, user_name, user_role, address: of who makes it. days: until it ends;
    null = never.
    """

    name: str
    role: Role
    days: int | None = None
    user_id: str
    user_name: str = ""
    user_role: Role | None = None
    address: str = ""


class TokenItem(msgspec.Struct, kw_only=True):
    """An API token as it is listed. token: the secret itself, told once, by the answer that makes it."""

    id: str
    name: str
    role: Role
    created_at: str
    created_by: str
    expires_at: str | None
    revoked_at: str | None
    token: str | None = None


class AuditItem(msgspec.Struct, kw_only=True):
    """Who did what to what, when, why if they said so, and what came of it."""

    id: int
    at: str
    user_id: str
    name: str
    role: str
    action: str
    target: str
    outcome: str
    address: str
    request_id: str | None
    reason: str = ""


class PauseItem(msgspec.Struct, kw_only=True):
    """Who paused a queue last, by Tocsin; reason: in their words, empty where they gave none. Whether it is paused
    still, the queue itself says."""

    source: str
    queue: str
    by: str
    at: str
    reason: str


class Deed(msgspec.Struct, kw_only=True):
    """Body of POST /internal/v1/audit: what logsvc itself is about to do for somebody, an operator at least. digest:
    equal for requests that ask for the same; another one under the same request_id is a conflict."""

    request_id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
    user_id: str
    name: str = ""
    role: Role | None = None
    address: str = ""
    action: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    target: str
    digest: str


class DeedOutcome(msgspec.Struct, kw_only=True):
    """Body of PUT /internal/v1/audit/{request_id}: what came of it."""

    outcome: str


class Progress(msgspec.Struct, kw_only=True):
    """How far an action is: jobs whose outcome is known, of so many."""

    settled: int
    planned: int


class Complaint(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How the internal APIs refuse: a word for programs, a sentence for people, and what mends it if anything does.

    progress: of an action that is still under way.
    """

    error: str
    message: str
    mend: str | None = None
    progress: Progress | None = None
