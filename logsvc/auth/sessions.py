"""Sessions live in a signed cookie, so every replica knows them; what ends one early comes from the bot."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any, cast

from itsdangerous import BadData, URLSafeSerializer
from pydantic import SecretStr

from logsvc.auth.who import Session, Who
from tocsin.roles import Role

LONGEST_COOKIE = 4096
PLAIN, SECURE = "tocsin_session", "__Host-tocsin_session"
"""A browser takes a __Host- cookie only over TLS, from this very host: no neighbour can put one in its place."""


class Sessions:
    """Seals and opens session cookies, and makes the token that a write of the page must show."""

    def __init__(self, secret: SecretStr, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        key = secret.get_secret_value()
        self._serializer = URLSafeSerializer(
            key, salt="tocsin.session", signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256}
        )
        self._csrf_key = hmac.digest(key.encode(), b"tocsin.csrf", "sha256")

    def seal(self, one: Session) -> str:
        """The cookie's value."""
        return str(
            self._serializer.dumps([one.id, one.user_id, one.name, one.role.value, one.issued_ms, one.expires_ms])
        )

    def open(self, value: str) -> Session | None:
        """The session in a cookie; None if it is forged, not ours, or over."""
        if len(value) > LONGEST_COOKIE:
            return None
        try:
            held: Any = self._serializer.loads(value)
            session_id, user_id, name, role, issued, expires = cast(list[Any], held)
            one = Session(str(session_id), str(user_id), str(name), Role(role), int(issued), int(expires))
        except (BadData, ValueError, TypeError):
            return None
        return one if one.expires_ms > self._clock() * 1000 else None

    def csrf_token(self, who: Who) -> str:
        """What a page of ours sends with a write, as X-CSRF-Token; another's page cannot read it."""
        subject = json.dumps([who.kind, who.user_id, who.session.id if who.session else ""])
        return hmac.new(self._csrf_key, subject.encode(), "sha256").hexdigest()

    def is_csrf_token(self, who: Who, given: str) -> bool:
        return hmac.compare_digest(self.csrf_token(who).encode(), given.encode(errors="replace"))


def set_cookie(name: str, value: str, *, seconds: int, is_secure: bool) -> tuple[bytes, bytes]:
    """A Set-Cookie header; seconds 0 removes the cookie."""
    parts = [f"{name}={value}", "Path=/", f"Max-Age={seconds}", "HttpOnly", "SameSite=Lax"]
    return b"set-cookie", "; ".join([*parts, *(["Secure"] if is_secure else [])]).encode()


def cookies_of(header: str) -> dict[str, str]:
    """A Cookie header's parts. One that stands there twice counts as the first, which is the more specific."""
    found: dict[str, str] = {}
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        found.setdefault(name, value)
    return found
