"""Who is let in and who is not: sessions, proxies, limits, and writes that a foreign page would like to send."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import httpx
import pytest
from itsdangerous import URLSafeSerializer
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from logsvc.auth.access import WAIT_SECONDS, Access
from logsvc.auth.arrivals import Arrivals
from logsvc.auth.door import Door
from logsvc.auth.limits import ALL, MOST_ADDRESSES, PER_ADDRESS, WINDOW_SECONDS, Attempts
from logsvc.auth.login import _next  # pyright: ignore[reportPrivateUsage]  # an open redirect would hide there
from logsvc.auth.logouts import Logouts
from logsvc.auth.outbox import MOST_WAITING
from logsvc.auth.pages import confirm_page, login_page, told_page
from logsvc.auth.sessions import Sessions
from logsvc.auth.who import Denied, Session, Who
from logsvc.bot import Bot, BotRefused
from logsvc.proxies import Proxies, headers_of, parse_networks, parse_roles
from logsvc.settings import LogsvcSettings
from tests.eventually import READY_SECONDS, eventually
from tocsin.access import AccessList, Arrival, Complaint, Ended, EndRequest, KnownToken, hash_of
from tocsin.breakers import Breakers, Unavailable
from tocsin.discovery import Directory
from tocsin.roles import Role
from tocsin.settings import read

SECRET = "s" * 40
SERVICE = "service-token-of-the-test"
SITE = "https://tocsin.example.com"
GOOD = {
    "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
    "CLICKHOUSE_URL": "chdb:///var/lib/tocsin",
    "SESSION_SECRET": SECRET,
    "TOCSIN_SERVICE_TOKEN": SERVICE,
    "PUBLIC_URL": f"{SITE}/sub/",
    "TRUSTED_PROXIES": "10.0.0.5, 10.1.0.0/16",
    "LOGSVC_PROXY_USER_HEADER": "X-Forwarded-User",
    "LOGSVC_PROXY_ROLES": "ann@*=admin, bot-*=none, *@ops.example.com=operator",
}
TOKEN = "tocsin_" + "t" * 43


def session(**more: Any) -> Session:
    now = int(time.time() * 1000)
    known: dict[str, Any] = {
        "id": "s1",
        "user_id": "1001",
        "name": "Ann",
        "role": Role.OPERATOR,
        "issued_ms": now - 1000,
        "expires_ms": now + 60_000,
    }
    return Session(**{**known, **more})


WITHOUT_BOT = {"TOCSIN_SERVICE_TOKEN": "", "LOGSVC_PROXY_USER_HEADER": "X-User", "TRUSTED_PROXIES": "192.0.2.9"}


def make_door(**more: str) -> Door:
    return door_at(time.time, more)


def door_at(clock: Callable[[], float], more: Mapping[str, str], *, is_told: bool = True) -> Door:
    """is_told: the bot has told whom it knows."""
    given = {**GOOD, **more}
    settings = read(LogsvcSettings, {name: value for name, value in given.items() if value})
    registry = CollectorRegistry()
    bot = Bot(settings, Directory(settings, registry), Breakers(settings, registry), httpx.AsyncClient())
    access = Access(bot, clock)
    known = KnownToken(id="t1", name="ci", role=Role.OPERATOR, hash=hash_of(TOKEN), expires_at=None)
    over = KnownToken(id="t2", name="old", role=Role.ADMIN, hash=hash_of("old"), expires_at="2020-01-01T00:00:00Z")
    if is_told:
        access.learn(AccessList(as_of="2026-01-01T00:00:00Z", tokens=[known, over], ended=[]))
    return Door(settings, access, Attempts())


def asking(
    method: str = "GET", peer: str = "192.0.2.1", host: str = "tocsin.example.com", **headers: str
) -> dict[str, Any]:
    raw = [(b"host", host.encode())]
    raw += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "client": (peer, 5), "headers": raw}


def cookie(door: Door, one: Session | None = None, name: str = "__Host-tocsin_session") -> str:
    return f"{name}={door.sessions.seal(one or session())}"


def status_of(door: Door, scope: dict[str, Any], path: str = "") -> int | str:
    """200 and by what somebody was recognized, or the status of the refusal."""
    try:
        return door.admit(scope, path).kind
    except Denied as denied:
        return denied.status


def test_a_process_that_has_just_started_waits_a_little_for_who_was_logged_out() -> None:
    now = time.time()
    door = door_at(lambda: now, {}, is_told=False)
    scope = asking(cookie=cookie(door))
    assert status_of(door, scope) == 503
    now += WAIT_SECONDS
    assert status_of(door, scope) == "session", "the bot is away for long, and the page must be there"
    ended = Ended(subject=f"session:{session().id}", at="2026-01-01T00:00:00Z")
    door.access.learn(AccessList(as_of="2026-01-01T00:00:00Z", tokens=[], ended=[ended]))
    assert status_of(door, scope) == 401
    without = door_at(time.time, WITHOUT_BOT, is_told=False)
    assert status_of(without, asking(cookie=cookie(without))) == "session", "there is no bot to wait for"


def test_a_session_is_what_was_sealed_and_nothing_else() -> None:
    sessions, one = Sessions(SecretStr(SECRET)), session()
    sealed = sessions.seal(one)
    assert sessions.open(sealed) == one
    body, _, signature = sealed.rpartition(".")
    raised = Sessions(SecretStr("x" * 40)).seal(session(role=Role.ADMIN))
    for forged in (
        "",
        ".",
        body,
        f"{body}.",
        f"{body}.{signature[:-2]}aa",
        f"{raised.rpartition('.')[0]}.{signature}",
        raised,
        sealed + "x" * 5000,
        URLSafeSerializer(SECRET).dumps(["s1", "1001", "Ann", "admin", 0, 9_999_999_999_999]),  # another salt
        URLSafeSerializer(SECRET, salt="tocsin.session", signer_kwargs={"key_derivation": "none"}).dumps(
            ["s1", "1001", "Ann", "admin", 0, 9_999_999_999_999]
        ),
    ):
        assert sessions.open(forged) is None, forged
    assert sessions.open(sessions.seal(session(expires_ms=1))) is None


def test_the_token_of_a_write_belongs_to_one_session() -> None:
    sessions = Sessions(SecretStr(SECRET))
    mine, other = (Who("session", "1001", "", Role.VIEWER, session=session(id=one)) for one in ("a", "b"))
    token = sessions.csrf_token(mine)
    assert sessions.is_csrf_token(mine, token)
    assert not any(sessions.is_csrf_token(mine, wrong) for wrong in ("", token[:-1], sessions.csrf_token(other), "ü"))
    assert Sessions(SecretStr("x" * 40)).csrf_token(mine) != token


def test_nobody_is_let_in_but_by_a_login_a_token_or_a_proxy_we_know() -> None:
    door = make_door()
    assert status_of(door, asking()) == 401
    assert status_of(door, asking(cookie=cookie(door))) == "session"
    assert status_of(door, asking(cookie=f"a=b; {cookie(door)}; c")) == "session"
    assert status_of(door, asking(cookie=cookie(door, name="tocsin_session"))) == 401  # could be a neighbour's doing
    assert status_of(door, asking(cookie=cookie(door, session(expires_ms=5)))) == 401
    assert status_of(door, asking(authorization=f"Bearer {SERVICE}")) == "service"
    assert status_of(door, asking(authorization=f"Bearer {TOKEN}")) == "token"
    assert status_of(door, asking(authorization="Bearer old")) == 401
    assert status_of(door, asking(authorization=f"Bearer {TOKEN}x", cookie=cookie(door))) == 401
    assert status_of(door, asking(authorization="Basic YTpi", cookie=cookie(door))) == "session"
    assert status_of(door, asking(x_forwarded_user="ann@example.com")) == 401  # from anybody: ignored
    assert status_of(door, asking(peer="10.1.2.3", x_forwarded_user="ann@example.com")) == "proxy"
    assert status_of(door, asking(peer="::ffff:10.1.2.3", x_forwarded_user="ann@example.com")) == "proxy"
    assert status_of(door, asking(peer="10.1.2.3", x_forwarded_user="bot-7")) == 403
    twice = asking(peer="10.0.0.5", x_forwarded_user="ann@example.com")
    twice["headers"].append((b"x-forwarded-user", b"eve"))
    assert status_of(door, twice) == 401
    for empty in ("", " ", "x" * 300, "a\tb"):
        assert status_of(door, asking(peer="10.0.0.5", x_forwarded_user=empty)) == 401


def test_proxies_tell_the_role_and_the_address() -> None:
    door = make_door()
    roles = {
        name: door.identify(asking(peer="10.0.0.5", x_forwarded_user=name)).role.value
        for name in ("Ann@example.com", "bob@OPS.example.com", "eve")
    }
    assert roles == {"Ann@example.com": "admin", "bob@OPS.example.com": "operator", "eve": "viewer"}
    proxies = Proxies(parse_networks("10.0.0.5,10.1.0.0/16,::1"))

    def address(peer: str, *lines: str) -> str:
        return proxies.address(peer, headers_of([(b"x-forwarded-for", line.encode()) for line in lines]))

    assert address("192.0.2.1", "9.9.9.9") == "192.0.2.1"
    assert address("10.0.0.5", "9.9.9.9, 10.1.0.7") == "9.9.9.9"
    assert address("10.0.0.5", "6.6.6.6", "9.9.9.9") == "9.9.9.9"
    assert address("10.0.0.5", "nonsense") == "10.0.0.5"
    assert address("::1") == "::1"
    assert address("", "9.9.9.9") == ""
    for wrong in ("10.0.0.5/8", "example.com", "*"):
        with pytest.raises(ValueError, match="comma-separated"):
            parse_networks(wrong)
    for wrong in ("ann", "=admin", "ann=root", "ann=admin;bob=viewer"):
        with pytest.raises(ValueError, match="GLOB=ROLE"):
            parse_roles(wrong)


def test_a_session_that_was_ended_is_over_everywhere() -> None:
    door = make_door()
    mine = session()
    for ended, is_over in (
        ("session:s1", True),
        ("session:s2", False),
        ("user:1001", True),
        ("user:7", False),
    ):
        one = Ended(subject=ended, at="2099-01-01T00:00:00Z")
        door.access.learn(AccessList(as_of="", tokens=[], ended=[one]))
        assert door.access.is_over(mine) is is_over, ended
    before = Ended(subject="user:1001", at="2020-01-01T00:00:00Z")
    door.access.learn(AccessList(as_of="", tokens=[], ended=[before]))
    assert not door.access.is_over(mine)
    assert status_of(door, asking(authorization=f"Bearer {TOKEN}")) == 401  # revoked: no longer told
    door.access.end_here(mine)
    assert status_of(door, asking(cookie=cookie(door, mine))) == 401
    other = replace(mine, id="s9")
    assert not door.access.is_over(other)
    door.access.end_here(mine, everywhere=True)
    assert door.access.is_over(other), "of the same person, also while the bot is away"
    assert not door.access.is_over(replace(other, user_id="8"))
    later = Ended(subject="user:1001", at="2020-01-02T00:00:00Z")
    door.access.learn(AccessList(as_of="", tokens=[], ended=[later]))
    assert not door.access.is_over(other), "the bot has heard, and its clock counts: a login since then is good"


OURS = {"origin": SITE, "sec_fetch_site": "same-origin"}


@pytest.mark.parametrize(
    ("headers", "token", "expected"),
    [
        (OURS, True, "session"),
        ({"origin": SITE}, True, "session"),
        ({"sec_fetch_site": "same-origin"}, True, "session"),
        ({"origin": "null", "sec_fetch_site": "same-origin"}, True, "session"),
        (OURS, False, 403),
        ({}, True, 403),
        ({"origin": "null"}, True, 403),
        ({"origin": "https://evil.example"}, True, 403),
        ({"origin": "http://tocsin.example.com:8080"}, True, 403),
        ({"origin": "https://tocsin.example.com.evil.example"}, True, 403),
        ({"origin": SITE, "sec_fetch_site": "same-site"}, True, 403),
        ({"origin": SITE, "sec_fetch_site": "cross-site"}, True, 403),
        ({"origin": "null", "sec_fetch_site": "none"}, True, 403),
    ],
)
def test_a_write_needs_our_own_page_and_its_token(headers: dict[str, str], token: bool, expected: int | str) -> None:
    door = make_door()
    mine = session()
    csrf = door.sessions.csrf_token(Who("session", "1001", "Ann", Role.OPERATOR, session=mine))
    sent = {**headers, **({"x_csrf_token": csrf} if token else {})}
    assert status_of(door, asking("POST", cookie=cookie(door, mine), **sent)) == expected


def test_a_program_with_a_token_needs_no_page_but_a_role() -> None:
    door = make_door()
    for method in ("POST", "PUT", "DELETE", "PATCH", "BREW"):
        assert status_of(door, asking(method, authorization=f"Bearer {TOKEN}")) == "token"
    viewer = session(role=Role.VIEWER)
    csrf = door.sessions.csrf_token(Who("session", "1001", "", Role.VIEWER, session=viewer))
    assert status_of(door, asking("GET", cookie=cookie(door, viewer))) == "session"
    assert status_of(door, asking("POST", cookie=cookie(door, viewer), x_csrf_token=csrf, **OURS)) == 403


def test_a_viewer_writes_only_where_that_is_theirs_alone_and_from_our_own_page() -> None:
    door, viewer = make_door(), session(role=Role.VIEWER)
    csrf = door.sessions.csrf_token(Who("session", "1001", "", Role.VIEWER, session=viewer))
    sent = {"cookie": cookie(door, viewer), **OURS}
    for method, path in (
        *(("POST", "/api/v1/rules/preview"), ("POST", "/api/v1/views")),
        *(("PUT", "/api/v1/views/8"), ("DELETE", "/api/v1/views/8"), ("DELETE", "/api/v1/exports/0a-1B")),
    ):
        assert status_of(door, asking(method, x_csrf_token=csrf, **sent), path) == "session", path
        assert status_of(door, asking(method, **sent), path) == 403, "without the token of our page"
        foreign = {**sent, "origin": "https://evil.example", "sec_fetch_site": "cross-site"}
        assert status_of(door, asking(method, x_csrf_token=csrf, **foreign), path) == 403
    for path in (
        *(
            "/api/v1/rules/no_workers",
            "/api/v1/exports/a/b",
            "/api/v1/views/8/x",
            "/api/v1/views/../tokens",
            "/api/v1/views/8\n",
        ),
        *("/api/v1/silences", "/api/v1/incidents/1/ack", "/api/v1/actions", "/api/v1/tokens", "/api/v1/markers"),
    ):
        assert status_of(door, asking("POST", x_csrf_token=csrf, **sent), path) == 403, path


def test_without_a_login_this_machine_may_all_and_a_foreign_page_nothing() -> None:
    none = dict.fromkeys(("SESSION_SECRET", "PUBLIC_URL", *(name for name in GOOD if "PROX" in name)), "")
    door = make_door(**none)
    local = {"host": "127.0.0.1:9001", "peer": "127.0.0.1"}
    assert status_of(door, asking("POST", **local)) == "local"  # curl
    assert status_of(door, asking(authorization="Bearer anything", **local)) == "local"
    csrf = door.sessions.csrf_token(door.identify(asking(**local)))
    page = {"origin": "http://127.0.0.1:9001"}
    assert status_of(door, asking("POST", **local, **page)) == 403
    assert status_of(door, asking("POST", **local, **page, x_csrf_token=csrf)) == "local"
    other = {"origin": "http://127.0.0.1:3000", "x_csrf_token": csrf}
    assert status_of(door, asking("POST", **local, **other)) == 403


def test_wrong_tokens_are_slowed_down_and_right_ones_are_not() -> None:
    door = make_door()
    statuses = [status_of(door, asking(authorization=f"Bearer no-{number}")) for number in range(PER_ADDRESS + 3)]
    assert statuses == [401] * PER_ADDRESS + [429] * 3
    with pytest.raises(Denied) as denied:
        door.admit(asking(authorization="Bearer no"))
    assert denied.value.retry_after is not None
    assert 0 < denied.value.retry_after <= WINDOW_SECONDS
    assert status_of(door, asking(authorization=f"Bearer {TOKEN}")) == "token"


def test_failures_are_counted_by_address_and_all_together_in_bounded_memory() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    for _ in range(PER_ADDRESS):
        assert attempts.wait("a") is None
        attempts.failed("a")
    assert attempts.wait("a") == WINDOW_SECONDS
    assert attempts.wait("b") is None
    attempts.succeeded("friend")
    for number in range(ALL):
        attempts.failed(f"bot-{number}")
    assert attempts.wait("b") == WINDOW_SECONDS
    assert attempts.wait("friend") is None
    now[0] = WINDOW_SECONDS + 1
    assert attempts.wait("a") is None
    assert attempts.wait("b") is None
    for number in range(MOST_ADDRESSES + 500):
        attempts.failed(f"n-{number}")
        attempts.succeeded(f"n-{number}")
    assert len(attempts._by_address) <= MOST_ADDRESSES  # pyright: ignore[reportPrivateUsage]  # that it is bounded shows nowhere else
    assert len(attempts._good) <= MOST_ADDRESSES  # pyright: ignore[reportPrivateUsage]  # as above


def test_whoever_has_an_ipv6_network_is_one_and_whoever_has_an_ipv4_address_is_one() -> None:
    attempts = Attempts(lambda: 0.0)
    for number in range(PER_ADDRESS):
        attempts.failed(f"2001:db8:1:2:{number:x}::7")
        attempts.failed(f"192.0.2.{number}")
        attempts.failed("::ffff:198.51.100.7")
    assert attempts.wait("2001:db8:1:2:ffff::1") == WINDOW_SECONDS
    assert attempts.wait("198.51.100.7") == WINDOW_SECONDS
    for other in ("2001:db8:1:3::1", "192.0.2.1", "::ffff:198.51.100.8"):
        assert attempts.wait(other) is None


async def test_a_stream_ends_when_its_viewer_is_logged_out() -> None:
    door = make_door()
    mine = session()
    sent: list[Any] = []
    begun = asyncio.Event()

    async def stream(_scope: Any, _receive: Any, _send: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {**asking(cookie=cookie(door, mine)), "type": "websocket"}
    held = asyncio.create_task(door.hold(door.admit(scope), stream, scope, None, send))
    await begun.wait()
    door.access.end_here(mine)
    async with asyncio.timeout(READY_SECONDS):
        await held
    assert sent == [{"type": "websocket.close", "code": 4401}]


@pytest.mark.parametrize(
    ("wanted", "lands"),
    [
        ("logs?queue=a%2Fb", "logs?queue=a%2Fb"),
        ("incidents/17", "incidents/17"),
        ("queues", "queues"),
        ("", "logs"),
        ("//evil.example", "logs"),
        ("/logs", "logs"),
        ("https://evil.example", "logs"),
        ("logs\r\nSet-Cookie:x", "logs"),
        ("\\\\evil.example/logs", "logs"),
        ("logs\\@evil.example", "logs"),
        ("api/v1/tokens", "logs"),
        ("javascript:alert(1)", "logs"),
    ],
)
def test_after_a_login_one_lands_on_a_page_of_ours(wanted: str, lands: str) -> None:
    assert _next(wanted) == lands


def test_nothing_said_becomes_markup() -> None:
    evil = '"><script>alert(1)</script>'
    shown = [
        confirm_page(evil, evil, Who("session", evil, evil, Role.VIEWER, "")),
        told_page(evil, evil),
        login_page(notice=evil, is_bot_away=True, by_proxy=True, by_link=True),
    ]
    assert not any("<script" in page for page in shown)


class Audit:
    """The bot, as far as it is told of people; away until it is not."""

    def __init__(self) -> None:
        self.is_away = True
        self.told: list[tuple[str, Role | None, str]] = []

    async def arrived(self, arrival: Arrival) -> None:
        if self.is_away:
            raise Unavailable("bot", "away")
        self.told.append((arrival.user_id, arrival.role, arrival.address))


async def test_a_logout_while_the_bot_is_away_is_told_when_it_is_back() -> None:
    class Away:
        is_away = True

        def __init__(self) -> None:
            self.told: list[str] = []

        async def end(self, asked: EndRequest) -> None:
            if self.is_away:
                raise Unavailable("bot", "away")
            if asked.session_id == "bad":
                raise BotRefused(400, Complaint(error="bad_request", message="no such session"))
            self.told.append(asked.session_id)

    bot, stop = Away(), asyncio.Event()
    logouts = Logouts(cast(Bot, bot))
    for session_id in ("s1", "bad", "s2"):
        asked = EndRequest(user_id="7", name="Ann", session_id=session_id, until="2099-01-01T00:00:00Z")
        assert not await logouts.tell(asked)
    bot.is_away = False
    following = asyncio.create_task(logouts.follow(stop))
    await eventually(lambda: bot.told == ["s1", "s2"], what="the bot told, past what it refuses")
    stop.set()
    await asyncio.wait_for(following, READY_SECONDS)
    assert bot.told == ["s1", "s2"]


async def test_whom_a_proxy_lets_in_the_audit_is_told_once_a_day_and_address() -> None:
    door, audit, stop = make_door(), Audit(), asyncio.Event()
    for person in ("ann@example.com", "ann@example.com", "bot-7", "eve@ops.example.com"):
        status_of(door, asking(peer="10.1.2.3", x_forwarded_user=person))
    status_of(door, asking(peer="10.1.2.3", x_forwarded_user="ann@example.com", x_forwarded_for="203.0.113.7"))
    stop.set()
    await door.arrivals.follow(cast(Bot, audit), stop)
    assert audit.told == []
    audit.is_away = False
    stop.clear()
    following = asyncio.create_task(door.arrivals.follow(cast(Bot, audit), stop))
    await eventually(lambda: len(audit.told) == 4, what="the audit told")
    status_of(door, asking(peer="10.1.2.3", x_forwarded_user="ann@example.com"))
    stop.set()
    await asyncio.wait_for(following, READY_SECONDS)
    assert audit.told == [
        ("proxy:ann@example.com", Role.ADMIN, "10.1.2.3"),
        ("proxy:bot-7", None, "10.1.2.3"),
        ("proxy:eve@ops.example.com", Role.OPERATOR, "10.1.2.3"),
        ("proxy:ann@example.com", Role.ADMIN, "203.0.113.7"),
    ]


async def test_another_day_is_told_of_again_and_of_a_crowd_only_so_many_wait() -> None:
    now, audit = 1_795_000_000.0, Audit()
    arrivals = Arrivals(is_told=True, clock=lambda: now)
    audit.is_away = False
    for _ in range(2):
        arrivals.note("proxy:ann", "ann", Role.VIEWER, "10.1.2.3")
    now += 86_400
    arrivals.note("proxy:ann", "ann", Role.VIEWER, "10.1.2.3")
    for number in range(MOST_WAITING):
        arrivals.note(f"proxy:{number}", "", Role.VIEWER, "10.1.2.3")
    running = asyncio.Event()
    following = asyncio.create_task(arrivals.follow(cast(Bot, audit), running))
    await eventually(lambda: len(audit.told) == MOST_WAITING, what="those who waited told")
    running.set()
    await asyncio.wait_for(following, READY_SECONDS)
    assert audit.told[:2] == [("proxy:ann", Role.VIEWER, "10.1.2.3")] * 2
