"""Lets a request in or not: who asks, which role that gives, and whether a browser was tricked into asking."""

import asyncio
import re
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from logsvc.auth.access import Access
from logsvc.auth.arrivals import Arrivals
from logsvc.auth.limits import Attempts
from logsvc.auth.sessions import PLAIN, SECURE, Sessions, cookies_of
from logsvc.auth.who import SCOPE_KEY, Denied, Who
from logsvc.proxies import headers_of
from logsvc.settings import LogsvcSettings, is_loopback
from tocsin.bearer import bearer, is_secret
from tocsin.roles import Role

log = structlog.get_logger("logsvc.auth")

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
VIEWERS_WRITE = re.compile(r"/api/v1/(?:rules/preview|views(?:/[0-9]{1,18})?|exports/[0-9A-Za-z-]{1,64})")
"""Where viewers may write too, for it can change nothing of others; the route asks for more where it does."""
LOOK_SECONDS = 1.0
"""How often an open stream looks whether its viewer may still see it."""
LOGIN_NEEDED = 4401
"""WebSocket close code: log in again."""
BAD_TOKEN = "this token is not known: it may have been revoked, or have ended"

App = Callable[[Any, Any, Any], Coroutine[Any, Any, None]]


class Door:
    """One for the process. Without SESSION_SECRET everybody who reaches us is on this machine, and is an admin."""

    def __init__(self, settings: LogsvcSettings, access: Access, attempts: Attempts) -> None:
        self.is_open = settings.session_secret is None
        self.sessions = Sessions(settings.session_secret or SecretStr(secrets.token_urlsafe(48)))
        self.access = access
        self.attempts = attempts
        self.arrivals = Arrivals(is_told=access.can_ask)
        self.proxies = settings.proxies
        self._service_token = settings.tocsin_service_token
        self._public = urlsplit(str(settings.public_url)) if settings.public_url else None

    def admit(self, scope: Any, path: str = "") -> Who:
        """Let a request in: reads for a viewer, writes for an operator; a route may ask for more. Raises Denied.

        path: below PUBLIC_URL, as the routes know it.
        """
        who = self.identify(scope)
        method: str = scope.get("method", "GET")
        if method in SAFE:
            return who
        if not who.shows_secret:
            self.refuse_foreign_write(scope, who)
        if not who.role.covers(Role.OPERATOR) and not VIEWERS_WRITE.fullmatch(path):
            raise Denied(403, f"that needs the role operator; yours is {who.role.value}")
        return who

    def identify(self, scope: Any) -> Who:
        """Who asks. Raises Denied (401, 429, 503)."""
        headers = headers_of(scope["headers"])
        address = self.address(scope, headers)
        who = self._by_secret(headers, address) or self._by_proxy(scope, headers, address)
        if who is not None:
            return who
        if self.is_open:
            return Who("local", "local", "this machine", Role.ADMIN, address)
        session = self.sessions.open(self.cookie(headers))
        if session is None or self.access.is_over(session):
            raise Denied(401, "please log in")
        if self.access.is_waiting:
            raise Denied(503, "logsvc has just started, and waits for the bot to say who was logged out", 2)
        return Who("session", session.user_id, session.name, session.role, address, session=session)

    def shows_good_secret(self, scope: Any) -> bool:
        """Whether a request holds a token that is good. Raises Denied for a wrong one (401, 429, 503)."""
        headers = headers_of(scope["headers"])
        return self._by_secret(headers, self.address(scope, headers)) is not None

    def address(self, scope: Any, headers: Mapping[str, Sequence[str]]) -> str:
        """Where the browser is."""
        return self.proxies.address(_peer(scope), headers)

    def cookie(self, headers: Mapping[str, Sequence[str]]) -> str:
        """The session cookie's value."""
        name = SECURE if self.is_secure(headers) else PLAIN
        return cookies_of("; ".join(headers.get("cookie", ()))).get(name, "")

    def is_secure(self, headers: Mapping[str, Sequence[str]]) -> bool:
        """Whether this browser reaches us by TLS; only on loopback it may not."""
        host = _one(headers, "host").lower()
        if self._public is not None and host == self._public.netloc.lower():
            return self._public.scheme == "https"
        return not is_loopback(urlsplit(f"//{host}").hostname or "")

    def refuse_foreign_write(self, scope: Any, who: Who) -> None:
        """Raise Denied unless a page of ours sent this: its origin is ours, and it holds the token of /api/v1/me."""
        headers = headers_of(scope["headers"])
        site, origin = _one(headers, "sec-fetch-site"), _one(headers, "origin")
        if who.kind == "local" and not site and not origin:
            return  # no browser: a program on this machine
        if not self.is_same_origin(headers):
            raise Denied(403, "a page of another origin may not do that")
        if not self.sessions.is_csrf_token(who, _one(headers, "x-csrf-token")):
            raise Denied(403, "send X-CSRF-Token, as /api/v1/me tells it; or use an API token")

    def is_same_origin(self, headers: Mapping[str, Sequence[str]]) -> bool:
        """Whether the browser says that a page of ours asks. A browser that says nothing is not believed."""
        site, origin = _one(headers, "sec-fetch-site"), _one(headers, "origin")
        if site and site != "same-origin":
            return False
        if not origin or origin == "null":  # null: the policy of a proxy in front lets no page be named
            return site == "same-origin"
        asking = urlsplit(origin)
        host = _one(headers, "host").lower()
        is_public = self._public is not None and (asking.scheme, asking.netloc) == self._public[:2]
        return is_public or asking.netloc.lower() == host

    async def hold(self, who: Who, app: App, scope: Any, receive: Any, send: Any) -> None:
        """Serve a stream for as long as its viewer may see it: a logout ends it too."""
        scope = {**scope, SCOPE_KEY: who, "client": (who.address, 0)}
        if who.session is None and who.kind != "token":
            await app(scope, receive, send)
            return
        serving = asyncio.create_task(app(scope, receive, send))
        leaving = asyncio.create_task(self._until_over(who))
        try:
            await asyncio.wait({serving, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_over = leaving.done() and not serving.done()
            for task in (serving, leaving):
                task.cancel()
            await asyncio.gather(serving, leaving, return_exceptions=True)
        if is_over and scope["type"] == "websocket":
            with suppress(Exception):  # whatever state the socket was left in, it ends
                await send({"type": "websocket.close", "code": LOGIN_NEEDED})
        if not serving.cancelled() and (error := serving.exception()):
            raise error

    async def _until_over(self, who: Who) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self._is_still_good(who):
                return

    def _is_still_good(self, who: Who) -> bool:
        if who.session is not None:
            return not self.access.is_over(who.session)
        return who.kind != "token" or self.access.token_by_hash(who.token_hash) is not None

    def _by_secret(self, headers: Mapping[str, Sequence[str]], address: str) -> Who | None:
        given = bearer(_one(headers, "authorization"))
        if given is None:
            return None
        who = self._bearer(given, address)
        if who is not None:
            self.attempts.succeeded(address)
            return who
        if self.is_open:
            return None
        wait = self.attempts.wait(address)
        self.attempts.failed(address)
        if wait is not None:
            raise Denied(429, "too many wrong tokens", wait)
        log.warning("token_refused", address=address)
        if not self.access.is_known and self.access.can_ask:
            raise Denied(503, "the bot has not answered yet, and it knows the tokens", 5)
        raise Denied(401, BAD_TOKEN)

    def _bearer(self, given: str, address: str) -> Who | None:
        if self._service_token is not None and is_secret(given, self._service_token):
            return Who("service", "service", "service", Role.ADMIN, address)
        token = self.access.token(given)
        if token is None:
            return None
        return Who("token", f"token:{token.id}", token.name, token.role, address, token_hash=token.hash)

    def _by_proxy(self, scope: Any, headers: Mapping[str, Sequence[str]], address: str) -> Who | None:
        person = self.proxies.person(_peer(scope), headers)
        if person is None:
            return None
        role = self.proxies.role_of(person)
        self.arrivals.note(f"proxy:{person}", person, role, address)
        if role is None:
            raise Denied(403, "LOGSVC_PROXY_ROLES lets this person not in")
        return Who("proxy", f"proxy:{person}", person, role, address)


def _peer(scope: Any) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _one(headers: Mapping[str, Sequence[str]], name: str) -> str:
    return next(iter(headers.get(name, ())), "")
