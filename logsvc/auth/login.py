"""`/login` and `/logout`: a link's ticket becomes a session, and a session ends."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import structlog

from logsvc.auth import pages
from logsvc.auth.access import Access, milliseconds
from logsvc.auth.door import Door
from logsvc.auth.logouts import Logouts
from logsvc.auth.sessions import PLAIN, SECURE, cookies_of, set_cookie
from logsvc.auth.who import Denied, Session, Who
from logsvc.bot import Bot, BotRefused
from logsvc.page import CONTENT_SECURITY_POLICY, Answer, Page, send_answer
from logsvc.proxies import headers_of
from tocsin.access import LONGEST_SECRET, EndRequest, Redeemed, new_secret
from tocsin.breakers import Unavailable

log = structlog.get_logger("logsvc.auth")

LOGIN, LOGOUT, STYLE = "/login", "/logout", "/login.css"
PATHS = (LOGIN, LOGOUT, STYLE)
NEXT = "tocsin_next"
"""Cookie: the page somebody wanted before they were sent to log in."""
NEXT_SECONDS = 900
LONGEST_NEXT = 1500
MOST_BYTES = 8 * 1024
BODY_SECONDS = 10.0
CSS = (Path(__file__).parent / "login.css").read_bytes()
HEADERS = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Names the host and never the address with its ticket. With no-referrer a form would say `Origin: null`.
    (b"referrer-policy", b"strict-origin"),
    (b"cache-control", b"no-store"),
]
WHY = {
    "used": "This link has been used. Ask for a new one.",
    "expired": "This link is too old. Ask for a new one.",
    "revoked": "This link no longer counts: its owner was logged out everywhere. Ask for a new one.",
    "unknown": "This is no login link that was given out. Was it copied whole?",
}
HERE = "This browser has forgotten its login. The bot does not answer"
GONE = {
    (True, False): "This device is logged out.",
    (True, True): "This device and all others are logged out.",
    (False, False): f"{HERE}. The other replicas hear of it from it, when it is back.",
    (False, True): f"{HERE}: other devices stay logged in. Log in and out everywhere once more when it is back.",
}
"""By whether the bot has heard, and whether everywhere was asked for."""
FOREIGN = "Your browser does not say that this page asked. Open the login page itself, by https, and try again."


class Login:
    """The pages. base: the path of PUBLIC_URL, with slashes around."""

    def __init__(self, door: Door, access: Access, bot: Bot, logouts: Logouts, base: str) -> None:
        self._door = door
        self._access = access
        self._bot = bot
        self._logouts = logouts
        self._base = base

    async def serve(self, path: str, scope: Any, receive: Any, send: Any) -> None:
        """Answer one of PATHS."""
        method: str = scope["method"]
        headers = headers_of(scope["headers"])
        if path == STYLE:
            answer = Answer(200, [*HEADERS[1:2], (b"content-type", b"text/css; charset=utf-8")], CSS)
        elif self._door.is_open:
            answer = self._redirect(_next(_asked(scope, "next")))
        elif method in ("GET", "HEAD"):
            answer = self._ask_login(scope) if path == LOGIN else self._ask_logout(scope)
        elif method == "POST":
            answer = await self._post(path, scope, headers, receive)
        else:
            answer = _html(405, pages.told_page("Not that way", "Only GET and POST."))
        await send_answer(answer, method, send)

    def send_to_login(self, path: str, scope: Any) -> Answer:
        """Answer somebody who is not logged in and wants a page: log in first, then come back to it."""
        query: bytes = scope.get("query_string", b"")
        wanted = path.lstrip("/") + (f"?{query.decode('latin-1')}" if query else "")
        answer = self._redirect("login")
        if not self._door.is_open and len(wanted) <= LONGEST_NEXT:
            is_secure = self._door.is_secure(headers_of(scope["headers"]))
            answer.headers.append(set_cookie(NEXT, quote(wanted, safe=""), seconds=NEXT_SECONDS, is_secure=is_secure))
        return answer

    def _ask_login(self, scope: Any) -> Answer:
        ticket = _asked(scope, "ticket")
        if not ticket:
            return _html(200, self._how())
        asked = _asked(scope, "next")
        following = _next(asked) if asked and len(asked) <= LONGEST_NEXT else ""
        return _html(200, pages.confirm_page(ticket[:LONGEST_SECRET], following, self._known(scope)))

    def _known(self, scope: Any) -> Who | None:
        """Who is logged in here already."""
        try:
            return self._door.identify(scope)
        except Denied:
            return None

    def _ask_logout(self, scope: Any) -> Answer:
        try:
            who = self._door.identify(scope)
        except Denied:
            return self._redirect("login")
        return _html(200, pages.logout_page(who, self._door.sessions.csrf_token(who)))

    async def _post(self, path: str, scope: Any, headers: Mapping[str, Sequence[str]], receive: Any) -> Answer:
        if not self._door.is_same_origin(headers):
            return _html(403, self._how(FOREIGN))
        form = await _form(receive)
        if form is None:
            return _html(413, self._how("That is too much, or it came too slowly."))
        return await (self._log_in(form, scope, headers) if path == LOGIN else self._log_out(form, scope, headers))

    async def _log_in(self, form: Mapping[str, str], scope: Any, headers: Mapping[str, Sequence[str]]) -> Answer:
        address = self._door.address(scope, headers)
        wait = self._door.attempts.wait(address)
        if wait is not None:
            log.warning("login_held_up", address=address, seconds=wait)
            answer = _html(429, self._how(f"Too many failed logins. Try again in {wait} s."))
            answer.headers.append((b"retry-after", str(wait).encode()))
            return answer
        try:
            with self._door.attempts.trying(address):
                told = await self._bot.redeem(_ticket(form.get("ticket", "")), address)
        except Unavailable as failure:
            log.warning("login_waits", address=address, error=str(failure))
            return _later(self._how(is_bot_away=True))
        except BotRefused as refusal:
            if refusal.status not in (404, 410):
                log.error("login_not_possible", error=refusal.error, reason=str(refusal))
                return _later(self._how(f"The bot does not do it: {refusal}. {refusal.mend or ''}".strip()))
            self._door.attempts.failed(address)
            log.warning("login_refused", address=address, why=refusal.error)
            return _html(refusal.status, self._how(WHY.get(refusal.error, str(refusal))))
        self._door.attempts.succeeded(address)
        log.info("login", user_id=told.user_id, role=told.role.value, address=address)
        return self._begin(told, headers, form.get("next", ""))

    def _begin(self, told: Redeemed, headers: Mapping[str, Sequence[str]], following: str) -> Answer:
        """following: where the link leads; empty = where they wanted to go before they were sent here."""
        expires = milliseconds(told.expires_at)
        session = Session(new_secret(), told.user_id, told.name[:200], told.role, milliseconds(told.issued_at), expires)
        is_secure = self._door.is_secure(headers)
        seconds = max(1, int(expires / 1000 - time.time()))
        name = SECURE if is_secure else PLAIN
        wanted = unquote(cookies_of("; ".join(headers.get("cookie", ()))).get(NEXT, ""))
        answer = self._redirect(_next(following or wanted))
        answer.headers.append(set_cookie(name, self._door.sessions.seal(session), seconds=seconds, is_secure=is_secure))
        answer.headers.append(set_cookie(NEXT, "", seconds=0, is_secure=is_secure))
        return answer

    async def _log_out(self, form: Mapping[str, str], scope: Any, headers: Mapping[str, Sequence[str]]) -> Answer:
        try:
            who = self._door.identify(scope)
        except Denied:
            return self._redirect("login")
        if not self._door.sessions.is_csrf_token(who, form.get("csrf_token", "")):
            return _html(403, pages.told_page("Not logged out", "The form is too old. Try again.", "logout"))
        if who.session is None:
            return _html(200, pages.told_page("Not logged in here", "The proxy in front logs you in: log out there."))
        everywhere = form.get("where") == "everywhere"
        is_told = await self._end(who, who.session, everywhere=everywhere)
        is_secure = self._door.is_secure(headers)
        title = "Logged out" if is_told else "Logged out of this browser only"
        answer = _html(200, pages.told_page(title, GONE[is_told, everywhere]))
        answer.headers.append(set_cookie(SECURE if is_secure else PLAIN, "", seconds=0, is_secure=is_secure))
        return answer

    async def _end(self, who: Who, session: Session, *, everywhere: bool) -> bool:
        """Return whether every replica hears of it now."""
        self._access.end_here(session, everywhere=everywhere)
        until = datetime.fromtimestamp(session.expires_ms / 1000, UTC).isoformat()
        asked = EndRequest(
            user_id=session.user_id,
            name=session.name,
            session_id=session.id,
            until=until,
            everywhere=everywhere,
            address=who.address,
        )
        is_told = await self._logouts.tell(asked)
        log.info("logout", user_id=session.user_id, everywhere=everywhere, address=who.address)
        return is_told

    def _how(self, notice: str = "", *, is_bot_away: bool = False) -> str:
        proxies = self._door.proxies
        return pages.login_page(
            notice=notice,
            is_bot_away=is_bot_away or not self._access.is_fresh,
            by_proxy=bool(proxies.networks and proxies.user_header),
            by_link=self._bot.is_configured,
        )

    def _redirect(self, to: str) -> Answer:
        return Answer(303, [*HEADERS, (b"location", f"{self._base}{to}".encode())], b"")


def _html(status: int, text: str) -> Answer:
    return Answer(status, [*HEADERS, (b"content-type", b"text/html; charset=utf-8")], text.encode())


def _later(text: str) -> Answer:
    answer = _html(503, text)
    answer.headers.append((b"retry-after", b"10"))
    return answer


def _ticket(text: str) -> str:
    """The ticket in what somebody pasted: itself, or the whole link."""
    return text.strip().rpartition("ticket=")[2][: LONGEST_SECRET + 1]


def _asked(scope: Any, name: str) -> str:
    """A value of the query, empty if there is none."""
    return "".join(parse_qs(scope.get("query_string", b"").decode("latin-1")).get(name, [])[-1:])


def _next(wanted: str) -> str:
    """The address somebody wanted, if it is a page of ours: cookie and link may be anybody's doing."""
    is_ours = Page.owns(wanted.partition("?")[0]) and wanted.isascii() and wanted.isprintable() and "\\" not in wanted
    return quote(wanted, safe="/?&=%+,:;@!$'()*~-._") if is_ours and not wanted.startswith("/") else "logs"


async def _form(receive: Any) -> dict[str, str] | None:
    """The fields of a posted form; None if it is too long or too slow."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > MOST_BYTES or message["type"] == "http.disconnect":
                    return None
                if not message.get("more_body"):
                    break
        fields = parse_qs(body.decode("latin-1"), max_num_fields=10)
    except (TimeoutError, ValueError):
        return None
    return {name: values[0] for name, values in fields.items()}
