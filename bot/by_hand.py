"""What an admin does on the server, with Telegram or the whole bot down: login links and API tokens, in Postgres."""

import getpass
import re
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from prometheus_client import CollectorRegistry

from bot.incidents.alerts import Alerts
from bot.incidents.failures import Key, key_part
from bot.incidents.trial import FINGERPRINT, NOWHERE, ring
from bot.metrics import Metrics
from bot.people.logins import Logins
from bot.people.seal import Seal
from bot.render.alert import Links
from bot.render.markup import plain
from bot.render.trial import trial_text
from bot.routing.chats import Chats
from bot.rules.rulebook import RuleBook
from bot.settings import BotSettings
from bot.store import audit, people, tickets, tokens
from bot.store.audit import Actor
from bot.store.database import SICK, Database, Session, open_engine, session_within
from bot.store.migrate import migrate
from bot.store.times import wire
from tocsin.breakers import Breakers, Unavailable
from tocsin.roles import Role
from tocsin.secrecy import hide, register
from tocsin.settings import secrets_of

SECONDS = 10.0
TEST_SECONDS = 15.0
FAILURES = (*SICK, Unavailable)
DONE, FAILED, WRONG = 0, 1, 2
LINK = "link:"
_NAME = re.compile(r"[\w@.+ -]{1,100}")
_BY = "server"
HOW = "tocsin token create NAME [--role viewer|operator|admin] [--days N] | list | revoke ID"


async def login_link(settings: BotSettings, user: str, role: Role | None) -> int:
    """Print a link for a person: a Telegram id or @username has its own role, any other name the one given."""
    user = user.strip()
    if not _NAME.fullmatch(user):
        return _fail("USER: a Telegram id, a @username that has spoken to the bot, or a name of 100 letters", WRONG)
    logins = Logins.of(settings)
    try:
        async with _transaction(settings) as session:
            found = await _person(session, user)
            if found is None:
                return _fail(f"nobody called {user} has spoken to the bot; use their Telegram id, or a name without @")
            user_id, name = found
            own = await _own_role(session, settings, user_id)
            given = role or own or Role.VIEWER
            if own is None and user_id.isdecimal() and role is None:
                print_error(f"{user} holds no role; the link is a viewer's. Another: --role")
            ticket = await tickets.make(session, user_id, name, given, timedelta(minutes=logins.minutes))
            await audit.note(session, Actor(_BY, getpass.getuser()), "login link", user_id, f"made: {given}")
    except FAILURES as failure:
        return _fail(f"Postgres (DATABASE_URL) did not do it: {hide(str(failure))[:300]}")
    sys.stdout.write(f"{logins.link(ticket)}\n")
    print_error(f"It logs {name} in as {given.value}, once, within {logins.minutes} minutes.")
    return DONE


async def token(settings: BotSettings, words: Sequence[str], role: Role | None, days: int | None) -> int:
    """Create, list or revoke API tokens."""
    if days is not None and not 1 <= days <= 3650:
        return _fail("--days: 1 to 3650", WRONG)
    try:
        async with _transaction(settings) as session:
            match list(words):
                case ["create", name] if _NAME.fullmatch(name):
                    return await _create(session, name, role or Role.VIEWER, days)
                case ["list"]:
                    return await _list(session)
                case ["revoke", token_id]:
                    return await _revoke(session, token_id)
                case _:
                    return _fail(HOW, WRONG)
    except FAILURES as failure:
        return _fail(f"Postgres (DATABASE_URL) did not do it: {hide(str(failure))[:300]}")


async def test_alert(settings: BotSettings, words: Sequence[str]) -> int:
    """Send a test alert, to every chat or as one of a queue (ENV SOURCE QUEUE); the running bot delivers it."""
    if len(words) not in (0, 3):
        return _fail("tocsin test-alert, or: tocsin test-alert ENV SOURCE QUEUE", WRONG)
    env, source, queue = (key_part(word) for word in words) if words else NOWHERE[:3]
    key = Key(env, source, queue, FINGERPRINT)
    registry = CollectorRegistry()
    register(secrets_of(settings))
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    engine = open_engine(settings.database_url.get_secret_value())
    chats, seal = Chats(settings), Seal(settings.telegram_bot_token.get_secret_value())
    can_log_in = settings.tocsin_service_token is not None
    links = Links(str(settings.public_url or ""), settings.bot_runbooks, logs_in=can_log_in)
    database = Database(engine, Breakers(settings, registry), timeout=settings.breaker_timeout_seconds)
    alerts = Alerts(chats, RuleBook(), Metrics(registry), links, seal, settings.channels)
    try:
        await migrate(engine)
        async with database.transaction() as session:
            await chats.read(session)
        trial = await ring(database, alerts, chats, key, getpass.getuser(), seconds=TEST_SECONDS)
        async with database.transaction() as session:
            await audit.note(session, Actor(_BY, getpass.getuser()), "test", f"#{trial.number}", "done")
    except FAILURES as failure:
        return _fail(f"Postgres (DATABASE_URL) did not do it: {hide(str(failure))[:300]}")
    finally:
        await engine.dispose()
    sys.stdout.write(f"{plain(trial_text(trial))}\n")
    if not trial.is_delivered:
        print_error("Not everywhere yet. Does the bot run, and what does `tocsin doctor` say?")
    return DONE if trial.is_delivered else FAILED


async def _create(session: Session, name: str, role: Role, days: int | None) -> int:
    lasts = None if days is None else timedelta(days=days)
    try:
        made, secret = await tokens.make(session, name, role, by=_BY, lasts=lasts)
    except tokens.TooMany:
        return _fail(f"there are {tokens.MOST} tokens; revoke some first")
    await audit.note(session, Actor(_BY, getpass.getuser()), "token create", f"{made.id} {name}", f"done: {role}")
    sys.stdout.write(f"{secret}\n")
    print_error(f"Token {made.id} ({name}, {role.value}) is shown this once. Send it as `Authorization: Bearer …`.")
    return DONE


async def _list(session: Session) -> int:
    now = await tickets.clock(session)
    for one in await tokens.listed(session):
        is_over = one.expires_at is not None and one.expires_at <= now
        state = "revoked" if one.revoked_at else "expired" if is_over else "good"
        until = wire(one.expires_at) if one.expires_at else "never ends"
        sys.stdout.write(f"{one.id}  {state:<8} {one.role:<8} {wire(one.created_at)}  {until:<24}  {one.name}\n")
    return DONE


async def _revoke(session: Session, token_id: str) -> int:
    gone = await tokens.revoke(session, token_id)
    if gone is None:
        return _fail("there is no such token, or it was revoked before: tocsin token list")
    await audit.note(session, Actor(_BY, getpass.getuser()), "token revoke", f"{token_id} {gone}", "done")
    print_error(f"Token {token_id} ({gone}) is revoked; the page forgets it within seconds.")
    return DONE


async def _person(session: Session, user: str) -> tuple[str, str] | None:
    """Id and name. Who is no person of Telegram gets an id that cannot be one's."""
    if user.startswith("@"):
        found = await people.find(session, user[1:])
        return (str(found[0].user_id), found[0].name or user) if found else None
    return (user, user) if user.isascii() and user.isdecimal() else (f"{LINK}{user}", user)


async def _own_role(session: Session, settings: BotSettings, user_id: str) -> Role | None:
    if not user_id.isdecimal():
        return None
    number = int(user_id)
    return Role.ADMIN if number in settings.telegram_admins else await people.granted(session, number)


@asynccontextmanager
async def _transaction(settings: BotSettings) -> AsyncGenerator[Session]:
    register(secrets_of(settings))
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is the answer's
    engine = open_engine(settings.database_url.get_secret_value())
    try:
        await migrate(engine)
        async with session_within(engine, SECONDS) as session:
            yield session
    finally:
        await engine.dispose()


def print_error(line: str) -> None:
    """Tell a person something that a script which reads the output does not want."""
    sys.stderr.write(f"{line}\n")


def _fail(line: str, status: int = FAILED) -> int:
    print_error(line)
    return status
