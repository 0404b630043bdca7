"""The door to Postgres: one engine, transactions behind a breaker, errors as `Unavailable("postgres")`.

Safe behind PgBouncer in transaction mode: no session state, no prepared statement that outlives its transaction.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it has none
import structlog
from sqlalchemy import func, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from bot.errors import Slow, Unfit
from tocsin.breakers import Breakers

log = structlog.get_logger("database")

Session = AsyncSession
"""A transaction in progress, for those who pass it on."""

POSTGRES = "postgres"
CONNECT_SECONDS = 3
GRACE_SECONDS = 1.0
"""How long after its deadline a transaction may take to fail; a cancel before that could hang."""
GAP_SECONDS = 5.0
"""Who asks Postgres every second or two and has had no answer for so long has been without it."""
STEADY_SECONDS = 20.0
"""Who was without Postgres when we were has it again within this, as things ship: a probe closes their breaker."""
SPARED_SECONDS = 60.0
"""So long at most is left alone what others have claimed, once their lease has ended: Postgres may come and go for
hours, and they may be dead as well."""
SICK = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""What counts against the breaker. SQLAlchemy does not wrap what asyncpg raises while connecting."""
DATA_EXCEPTION = "22"
"""The class of SQLSTATE that blames the values sent. Source: PostgreSQL, appendix A, class 22."""


def driver_url(dsn: str) -> URL:
    """Point any common form of a Postgres URL at asyncpg; libpq's `sslmode` becomes asyncpg's `ssl`."""
    url = make_url(dsn).set(drivername="postgresql+asyncpg")
    mode = url.query.get("sslmode")
    if mode is None:
        return url
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": str(mode)})


def open_engine(dsn: str) -> AsyncEngine:
    """Make the engine; it connects on first use.

    No pre-ping: a ping has no deadline of its own. After a restart of Postgres the first transaction fails, the pool
    forgets its connections, and the caller's next try succeeds.
    """
    options: dict[str, Any] = {
        "timeout": CONNECT_SECONDS,
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": lambda: f"tocsin_{uuid4().hex}",
    }
    return create_async_engine(driver_url(dsn), connect_args=options, pool_size=4, max_overflow=2)


class Database:
    """Short transactions, each behind the breaker and a deadline."""

    def __init__(self, engine: AsyncEngine, breakers: Breakers, *, timeout: float) -> None:
        self.engine = engine
        self._breakers = breakers
        self._timeout = timeout
        self._answered_at = self._answers_since = float("-inf")

    @property
    def spared_seconds(self) -> float:
        """How long to leave alone what others have claimed, once their lease has ended; 0 when Postgres is steady.

        As long as it has answered us only for a while, that may be what they have done and could not write down: it was
        away for them, too.
        """
        now = time.monotonic()
        is_steady = now - self._answered_at <= GAP_SECONDS and now - self._answers_since >= STEADY_SECONDS
        return 0.0 if is_steady else SPARED_SECONDS

    def _note_answer(self) -> None:
        now = time.monotonic()
        if now - self._answered_at > GAP_SECONDS:
            self._answers_since = now
        self._answered_at = now

    @asynccontextmanager
    async def transaction(self, *, timeout: float | None = None) -> AsyncGenerator[Session]:
        """Commit when the block ends, roll back when it raises.

        Raises Unfit when Postgres cannot hold the very values it was given: then it is not ill. Any other refusal (a
        missing grant, tables of another release) is Unavailable, because somebody can mend it; Slow if it was begun
        and not done in time.
        """
        deadline = self._timeout if timeout is None else timeout
        async with self._breakers.guard(POSTGRES, timeout=deadline + GRACE_SECONDS, errors_that_count=SICK):
            try:
                async with session_within(self.engine, deadline) as session:
                    yield session
                self._note_answer()
            except DBAPIError as refusal:
                code = str(getattr(refusal.orig, "sqlstate", None) or "")
                if code.startswith(DATA_EXCEPTION):
                    raise Unfit(f"Postgres cannot hold this: SQLSTATE {code}") from refusal
                if code:
                    log.warning("postgres_refused", sqlstate=code, error=str(refusal.orig)[:200])
                raise

    async def probe(self) -> None:
        """Raise if Postgres does not answer."""
        async with session_within(self.engine, self._timeout) as session:
            await session.execute(text("SELECT 1"))


@asynccontextmanager
async def session_within(engine: AsyncEngine, deadline: float) -> AsyncGenerator[Session]:
    """A transaction whose connection is aborted at the deadline.

    Where we are stopped or cut off Postgres does so, once it has heard nothing for as long: others would wait for what
    we hold until it missed us, by default for two hours. Cancelling instead would not do: asyncpg then asks the server,
    over a second connection, to cancel the query, and waits for that for ever if the server is silent (asyncpg
    connection.py, _cancel).
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline
    watchdog: asyncio.TimerHandle | None = None
    try:
        async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
            connection = await (await session.connection()).get_raw_connection()
            driver: Any = connection.driver_connection
            watchdog = loop.call_at(end, driver.terminate)
            idle_ms = str(int(deadline * 1000) + 1)
            await session.execute(select(func.set_config("idle_in_transaction_session_timeout", idle_ms, True)))
            yield session
    except (*SICK, AttributeError) as failure:  # the last: asyncpg, of a connection that was aborted under its hands
        if watchdog is not None and loop.time() >= end:
            raise Slow(POSTGRES, f"not done in {deadline:g} s") from failure
        raise
    finally:
        if watchdog is not None:
            watchdog.cancel()
