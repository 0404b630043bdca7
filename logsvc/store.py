"""The one door to ClickHouse, server or embedded chDB: inserts with a token, read-backs, bounded queries.

Every call but the probe passes the breaker `clickhouse`.
clickhouse_connect is synchronous and a client serialises its calls, so each worker thread has a client of its own.
Inserts, with what is read back for them, and queries have separate threads: a heavy question never delays the ingest.
Queries wait for a thread before the breaker's deadline begins: that many are asked is no illness of ClickHouse. While
the breaker is open they do not wait. One that was given up keeps its thread's place until the thread is free.
All SQL that reaches a server is ours; what people typed travels as bound parameters only.
"""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager, nullcontext
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import clickhouse_connect
import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, ProgrammingError

from logsvc.errors import LogsvcError, QueryTooHeavy, RowsRefused, StoreDown, TooMany
from logsvc.ingest.batch import Span
from logsvc.schema.tables import on_cluster
from logsvc.schema.words import SearchIndex
from logsvc.settings import LogsvcSettings
from logsvc.workers import Turn, Workers
from tocsin.breakers import Breakers, Unavailable

log = structlog.get_logger("logsvc.store")

DATABASE = "tocsin"
"""Where the tables are if CLICKHOUSE_URL names no database."""

DEFAULT_PORTS = {"http": 8123, "https": 8443}

INSERT_THREADS = 2
QUERY_THREADS = 4
QUERY_SECONDS = 10
CALL_SECONDS = 60.0
MOST_WAITING = 100
WAIT_SECONDS = 30.0
"""So many queries wait for a thread, and for so long: about as long as a person does."""
CLOSE_SECONDS = 5.0
QUERY_LIMITS = {
    "max_execution_time": QUERY_SECONDS,
    "max_rows_to_read": 500_000_000,
    "max_memory_usage": 2_000_000_000,
    "max_threads": 2,
}
READ_BACK_SETTINGS = {
    # Nobody can narrow what the ingest asks, and it goes on only once it has the answer.
    "max_execution_time": CALL_SECONDS - 10,
    "max_rows_to_read": 0,
    # Of a cluster's replicas only one that has all answers: what is not seen is stored again, or under another token.
    "select_sequential_consistency": 1,
}
READ_SETTINGS = {"input_format_skip_unknown_fields": 1}
INSERT_SETTINGS = {
    **READ_SETTINGS,
    "async_insert": 0,
    "insert_deduplicate": 1,
    # One block, in one order: a token then covers the same rows each time.
    "input_format_parallel_parsing": 0,
    "max_insert_threads": 1,
    # The backfill of a quiet queue spans many days, and each day is a part.
    "max_partitions_per_insert_block": 0,
}
QUORUM_SETTINGS = {
    "insert_quorum": "auto",
    # Else a read-back would not see what a quorum has: select_sequential_consistency is of no effect beside it.
    "insert_quorum_parallel": 0,
    "insert_quorum_timeout": 30_000,
}
"""For replicated tables. A quorum takes one insert at a time then."""

# Codes of ClickHouse's ErrorCodes.cpp. Whatever is not named here is taken for an illness of the server: then a batch
# is tried again, which is loud, instead of being thrown into the dead letters, which is not (see Lane for how long).
REFUSALS = frozenset(
    {6, 25, 26, 27, 33, 34, 38, 41, 53, 69, 70, 72, 117, 130, 131, 158, 190, 304, 321, 349, 407, 441, 467, 634}
)
TOO_HEAVY = frozenset({158, 159, 160, 241, 307, 396})
READ_ONLY = frozenset({242, 243, 252, 286})
"""A server that takes no rows and answers questions as ever: read-only, disk full, too many parts, no quorum."""
DISK_FULL = 243
NO_SPACE = "No space left on device"
"""How the operating system says DISK_FULL; ClickHouse passes it on under the code of whatever it was about to do."""
NOT_YET = frozenset({60, 81})
"""No such table, no such database: it is well, and what is to be made in it must not have to wait for the breaker."""
MISTAKES = frozenset({16, 36, 42, 43, 44, 46, 47, 48, 50, 62, 63, 80, 344, 497})

TOO_MANY = "too many questions are being answered just now: ask again in a moment, or narrow the time or the queues"

T = TypeVar("T")

Client = Any
"""clickhouse_connect.driver.client.Client, whose signatures have no complete types."""


class Store:
    """ClickHouse as logsvc uses it. Calls raise StoreDown while it is unusable; the first call connects."""

    def __init__(self, settings: LogsvcSettings, breakers: Breakers) -> None:
        self._breakers = breakers
        self._url = settings.clickhouse_url.get_secret_value()
        self._ca_file = settings.clickhouse_ca_file
        self.is_embedded = self._url.startswith("chdb:")
        self.database = _database(self._url)
        self.cluster = settings.clickhouse_cluster
        """The cluster on which tables are made; "" = this one server."""
        self.is_replicated = False
        """Whether inserts wait for a quorum; found by logsvc/schema/migrate.py."""
        self.search_index: SearchIndex | None = None
        """How texts are indexed; None until the tables have been looked at (logsvc/schema/migrate.py)."""
        self._quorum = asyncio.Lock()
        self._mine = threading.local()
        self._clients: list[Client] = []
        self._inserting = Workers(INSERT_THREADS, "insert")
        self._asking = Workers(QUERY_THREADS, "query")
        self._turns = asyncio.Semaphore(QUERY_THREADS)
        self._waiting = 0
        self._ended = 0

    async def insert(self, table: str, rows: bytes, token: str) -> None:
        """Insert JSON lines as one block; with a token seen before, ClickHouse takes nothing and says so not.

        Raises StoreDown if the outcome is bad or unknown, RowsRefused if the rows themselves cannot be read.
        """

        def work(client: Client) -> None:
            client.raw_insert(
                table,
                insert_block=rows,
                fmt="JSONEachRow",
                settings={**settings, "insert_deduplication_token": token},
            )

        settings = {**INSERT_SETTINGS, **(QUORUM_SETTINGS if self.is_replicated else {})}
        async with self._quorum if self.is_replicated else nullcontext():
            await self._run(self._inserting, work, RowsRefused, READ_ONLY)

    async def cannot_read(self, table: str, rows: bytes) -> int | None:
        """The code with which ClickHouse fails to read JSON lines for a table, storing nothing; None if it can.

        None also where nothing can be told: a row without fields, which anybody can read, must pass beside them.
        Raises StoreDown.
        """

        def work(client: Client) -> int | None:
            columns = client.query(
                "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String}"
                " AND default_kind != 'ALIAS'",
                parameters={"table": table},
            ).result_rows
            structure = ", ".join(f"{name} {kind}" for name, kind in columns).replace("'", "\\'")
            sink = f"FUNCTION null('{structure}')"
            client.raw_insert(sink, insert_block=b"{}", fmt="JSONEachRow")
            try:
                client.raw_insert(sink, insert_block=rows, fmt="JSONEachRow", settings=READ_SETTINGS)
            except DatabaseError as error:
                return error.code
            return None

        return await self._run(self._inserting, work, StoreDown)

    async def offsets(
        self, table: str, origin: tuple[str, str, int], span: Span, ts_bounds: tuple[int, int]
    ) -> set[int]:
        """Offsets of an origin (cluster, topic, partition) stored within span and ts_bounds."""
        cluster, topic, partition = origin
        found = await self._read_back(
            f"SELECT kafka_offset FROM {table} WHERE ts BETWEEN {{earliest:Int64}} AND {{latest:Int64}}"
            " AND kafka_offset BETWEEN {first:Int64} AND {last:Int64} AND kafka_cluster = {cluster:String}"
            " AND kafka_topic = {topic:String} AND kafka_partition = {partition:UInt16}",
            {
                "earliest": ts_bounds[0],
                "latest": ts_bounds[1],
                "first": span.first,
                "last": span.last,
                "cluster": cluster,
                "topic": topic,
                "partition": partition,
            },
        )
        return {int(row["kafka_offset"]) for row in found}

    async def newest_offsets(self, table: str, topic: str, partition: int) -> dict[str, int]:
        """The highest stored offset of a partition, by cluster incarnation."""
        found = await self._read_back(
            f"SELECT kafka_cluster, max(kafka_offset) AS newest FROM {table}"
            " WHERE kafka_topic = {topic:String} AND kafka_partition = {partition:UInt16} GROUP BY kafka_cluster",
            {"topic": topic, "partition": partition},
        )
        return {str(row["kafka_cluster"]): int(row["newest"]) for row in found}

    async def newest_row(
        self, table: str, origin: tuple[str, str, int], first: int, last: int
    ) -> tuple[int, int] | None:
        """Offset and ts of the newest row from offsets first to last of an origin (cluster, topic, partition)."""
        cluster, topic, partition = origin
        found = await self._read_back(
            f"SELECT kafka_offset, ts FROM {table} WHERE kafka_offset BETWEEN {{first:Int64}} AND {{last:Int64}}"
            " AND kafka_cluster = {cluster:String} AND kafka_topic = {topic:String}"
            " AND kafka_partition = {partition:UInt16} ORDER BY kafka_offset DESC LIMIT 1",
            {"first": first, "last": last, "cluster": cluster, "topic": topic, "partition": partition},
        )
        return (int(found[0]["kafka_offset"]), int(found[0]["ts"])) if found else None

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, settings: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Run our SQL with people's values bound; return rows as dicts.

        Raises TooMany when too many wait, QueryTooHeavy when a limit was hit, StoreDown when ClickHouse is unusable.
        """
        async with self._turn() as turn:
            return await self._ask(turn, sql, parameters, settings)

    async def _read_back(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The same for the ingest, which waits for nobody's question."""
        return await self._ask(self._inserting, sql, parameters, READ_BACK_SETTINGS)

    async def _ask(
        self, pool: Executor, sql: str, parameters: Mapping[str, Any] | None, settings: Mapping[str, Any] | None
    ) -> list[dict[str, Any]]:
        def work(client: Client) -> list[dict[str, Any]]:
            result = client.query(sql, parameters=dict(parameters or {}), settings={**QUERY_LIMITS, **(settings or {})})
            return [dict(row) for row in result.named_results()]

        return await self._run(pool, work, QueryTooHeavy)

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[Turn]:
        """Wait until a thread is free for a query; it is ours until the query has ended in it.

        Raises TooMany; StoreDown if none of those before it ends, and at once while the breaker is open.
        """
        if self._breakers.is_open("clickhouse"):
            raise StoreDown("clickhouse is unavailable (breaker open)")
        if self._waiting >= MOST_WAITING:
            raise TooMany(TOO_MANY)
        ended = self._ended
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._turns.acquire()
        except TimeoutError as error:
            if self._ended > ended:
                raise TooMany(TOO_MANY) from error
            async with self._guarded():  # the breaker hears of it: each query has a limit, so ClickHouse hangs
                raise StoreDown(f"no query ended in {WAIT_SECONDS:g} s") from error
        finally:
            self._waiting -= 1
        turn = Turn(self._asking)
        try:
            yield turn
        finally:
            turn.leave(self._turn_over)

    def _turn_over(self) -> None:
        self._ended += 1
        self._turns.release()

    async def command(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Run a statement that returns nothing. Raises LogsvcError if it is refused, StoreDown if ClickHouse is ill."""

        def work(client: Client) -> None:
            client.command(sql, parameters=dict(parameters or {}), settings=dict(settings or {}))

        await self._run(self._inserting, work, LogsvcError)

    async def create_database(self) -> None:
        """Make the database if it is absent and we may. chDB's default one cannot hold tables, so it needs its own."""

        def work() -> None:
            client = self._connect(None)
            try:
                client.command(f"CREATE DATABASE IF NOT EXISTS `{self.database}`{where} ENGINE = Atomic")
            except ClickHouseError as error:
                log.info("database_not_created", database=self.database, reason=_code(error))
            finally:
                client.close()

        where = on_cluster(self.cluster)
        async with self._guarded():
            await _in(self._inserting, lambda: _translated(work, LogsvcError))

    async def probe(self) -> None:
        """Raise StoreDown unless ClickHouse answers a trivial question. Passes no breaker: it may close one."""
        try:
            await _in(self._asking, lambda: _translated(lambda: self._client().command("SELECT 1"), LogsvcError))
        except StoreDown as error:
            if error.code not in NOT_YET:
                raise

    async def close(self) -> None:
        """Disconnect, once the calls under way have ended. One that hangs is left: its thread ends with the process."""

        def work() -> None:
            for pool in (self._asking, self._inserting):
                pool.close()
            until = time.monotonic() + CLOSE_SECONDS
            if all([pool.leave(until - time.monotonic()) for pool in (self._asking, self._inserting)]):
                for client in self._clients:
                    client.close()
            else:
                log.warning("clickhouse_call_left", waited_seconds=CLOSE_SECONDS)

        await asyncio.to_thread(work)

    async def _run(
        self,
        pool: Executor,
        work: Callable[[Client], T],
        refusal: type[LogsvcError],
        passing: frozenset[int] = frozenset(),
    ) -> T:
        """Run work in a thread. passing: codes of a StoreDown of which the breaker does not hear, besides NOT_YET."""
        async with self._guarded():
            try:
                return await _in(pool, lambda: _translated(lambda: work(self._client()), refusal))
            except StoreDown as error:
                if error.code not in passing | NOT_YET:
                    raise
                failure = error
        raise failure

    @asynccontextmanager
    async def _guarded(self) -> AsyncGenerator[None]:
        """The breaker and a deadline around a call; a call that is late goes on in its thread, unheard."""
        try:
            async with self._breakers.guard("clickhouse", timeout=CALL_SECONDS, errors_that_count=(StoreDown,)):
                yield
        except Unavailable as error:
            cause = error.__cause__
            raise cause if isinstance(cause, StoreDown) else StoreDown(str(error)) from error

    def _client(self) -> Client:
        client: Client | None = getattr(self._mine, "client", None)
        if client is None:
            client = self._mine.client = self._connect(self.database)
            self._clients.append(client)
        return client

    def _connect(self, database: str | None) -> Client:
        connect: Callable[..., Client] = getattr(clickhouse_connect, "get_client")  # noqa: B009  # untyped arguments
        if self.is_embedded:
            return connect(dsn=f"chdb://{urlsplit(self._url).path}", database=database)
        parts = urlsplit(self._url)
        return connect(
            dsn=self._url,
            # The library does not look at the DSN's scheme: told nothing else, it sends the password in the clear.
            interface=parts.scheme,
            secure=parts.scheme == "https",
            port=parts.port or DEFAULT_PORTS[parts.scheme],
            database=database or "default",
            ca_cert=str(self._ca_file) if self._ca_file else None,
            connect_timeout=5,
            send_receive_timeout=60,
            autogenerate_session_id=False,
        )


async def _in(pool: Executor, work: Callable[[], T]) -> T:
    try:
        return await asyncio.get_running_loop().run_in_executor(pool, work)
    except RuntimeError as error:
        if "shutdown" in str(error):
            raise StoreDown("ClickHouse is being closed") from error
        raise


def _translated(work: Callable[[], T], refusal: type[LogsvcError]) -> T:
    """Run work and turn the library's errors into ours. refusal: what a server's "no" means for this call."""
    try:
        return work()
    except DatabaseError as error:
        code = error.code
        if refusal is RowsRefused and code in REFUSALS:
            raise RowsRefused(_unquoted(error)) from error
        if refusal is QueryTooHeavy and code in TOO_HEAVY:
            raise QueryTooHeavy(_message(error)) from error
        if refusal is LogsvcError and code in MISTAKES:
            raise LogsvcError(_message(error)) from error
        if refusal is QueryTooHeavy and code in MISTAKES:
            raise LogsvcError(f"our own SQL is wrong: {_message(error)}") from error
        raise StoreDown(_message(error), DISK_FULL if NO_SPACE in str(error) else code) from error
    except (ClickHouseError, OSError) as error:
        hint = " (does another process own this chDB directory?)" if isinstance(error, ProgrammingError) else ""
        raise StoreDown(f"{_message(error)}{hint}") from error


def _message(error: Exception) -> str:
    """The server's first line, cut; without what the library wraps around it."""
    text = (str(error).partition("server response: ")[2] or str(error)).partition(" (for url ")[0]
    return text.replace("DB::Exception: ", "").splitlines()[0][:300] if text else type(error).__name__


def _unquoted(error: Exception) -> str:
    """The same up to where it begins to quote the row: the dead letter has that whole, and no log needs any of it."""
    return _message(error).partition("'")[0]


def _code(error: Exception) -> str:
    return f"code {getattr(error, 'code', None)}"


def _database(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "chdb":
        named: Sequence[str] = parse_qs(parts.query).get("database", [])
        return named[0] if named else DATABASE
    return parts.path.strip("/") or DATABASE
