"""What a search costs on ten million rows: a rare word, the newest page, the next one, a day's histogram, a job.

Asked of logsvc's own API in this process, over an embedded ClickHouse (chDB) whose rows are generated inside it: 29
days of 1.4 million jobs in 120 queues, seven rows a job, two of them log lines. Every day is merged, as a server has
it. Each question is asked once and then fifteen times: ClickHouse's mark cache and the system's file cache are warm
then, its query cache is off. CPU is of all threads, ClickHouse's among them.

    python -m benchmarks.search [rows] [directory]

Given a directory, the rows stay there and are found again.
"""

import argparse
import asyncio
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import clickhouse_connect
import httpx
from prometheus_client import CollectorRegistry

from logsvc.api.build import build_api
from logsvc.api.durations import durations_routes
from logsvc.api.errors import errors_routes
from logsvc.api.export import Exports
from logsvc.api.handling import Handling
from logsvc.api.histogram import histogram_routes
from logsvc.api.jobs import jobs_routes
from logsvc.api.journal import DAY, Journal
from logsvc.api.logs import logs_routes
from logsvc.metrics import Metrics
from logsvc.schema import migrate
from logsvc.settings import LogsvcSettings
from logsvc.store import DATABASE, Store
from tocsin.breakers import Breakers
from tocsin.health import Health
from tocsin.settings import read
from tocsin.times import rfc3339

ROWS = 10_000_000
CHUNK = 250_000
DAYS = 29
ROUNDS = 15
PER_JOB = 7
RARE = "quokka7f3a9c21"
"""In the message of three rows, weeks apart."""

FILL = f"""
INSERT INTO journal
    (ts, kind, level, env, source, queue, id, stream_id, event, state, prev, job_id, job_name, added_at, attempt,
     max_attempts, error, error_type, stack, fingerprint, data, result, wait_ms, run_ms, worker, message, line,
     kafka_cluster, kafka_topic, kafka_partition, kafka_offset)
WITH
    number AS k, intDiv(k, {PER_JOB}) AS job, k % {PER_JOB} AS step, cityHash64(job) AS h,
    h % 50 = 0 AS is_bad, step IN (3, 4) AS is_line,
    {{begin:Int64}} + intDiv(job * {{span:Int64}}, {{jobs:Int64}}) AS added,
    toUInt32(120 * pow((h % 100003) / 100003, 3)) AS place,
    ['added', 'waiting', 'active', '', '', 'progress', 'completed'][step + 1] AS word,
    lower(hex(sipHash128(job))) AS long_id,
    cityHash64(k) AS r
SELECT
    added + step * 350 + r % 300,
    if(is_line, 'log', 'event'),
    multiIf(step = 6 AND is_bad, 'error', is_line AND r % 40 = 0, 'warn', step = 5, 'debug', 'info'),
    if(place % 5 = 0, 'staging', 'prod'), if(place % 3 = 0, 'billing', 'main'), concat('queue-', toString(place)),
    concat('main:', toString(k)), concat(toString(added), '-', toString(step)),
    if(step = 6 AND is_bad, 'failed', word),
    multiIf(is_line, '', step = 6 AND is_bad, 'failed',
        ['waiting', 'waiting', 'active', '', '', 'active', 'completed'][step + 1]),
    if(step = 6, 'active', ''),
    if(h % 2 = 0, toString(job),
        concat(substring(long_id, 1, 8), '-', substring(long_id, 9, 4), '-', substring(long_id, 13, 12))),
    concat('task-', toString(place * 3 + h % 3)), added, if(step > 1, 1, 0), 3,
    if(step = 6 AND is_bad, concat(
        ['connect ECONNREFUSED 10.0.3.', 'Timeout after 30000 ms at row ', 'Card declined: code ',
            'Deadlock found on key '][h % 4 + 1],
        toString(h % 250)), ''),
    if(step = 6 AND is_bad, ['Error', 'TimeoutError', 'CardError', 'QueryError'][h % 4 + 1], ''),
    if(step = 6 AND is_bad,
        ['at process (/app/dist/worker.js:118:11)', 'at run (/app/node_modules/bullmq/worker.js:620:9)'], []),
    if(step = 6 AND is_bad, concat('fp', toString(place), '-', toString(h % 4)), ''),
    if(step IN (0, 6), concat('{{"order":"ord-', substring(long_id, 1, 12), '","customer":', toString(h % 200000),
        ',"amount":', toString(h % 90000), ',"country":"', ['DE', 'FR', 'BR', 'IN', 'US'][h % 5 + 1], '"}}'), ''),
    if(step = 6 AND NOT is_bad, '{{"ok":true}}', ''),
    if(step = 2, h % 5000, NULL), if(step = 6, h % 9000, NULL), if(step > 1, concat('worker-', toString(h % 24)), ''),
    multiIf(
        is_line AND k % 3333333 = 10, 'found the {RARE} in the cage',
        step = 3, concat('Charging card of customer ', toString(h % 200000), ' for order ord-',
            substring(long_id, 1, 12)),
        step = 4, concat('Gateway answered in ', toString(r % 900), ' ms, request ', lower(hex(r))),
        ''),
    if(is_line, step - 3, 0),
    'bench', if(is_line, 'tocsin.logs', 'tocsin.jobs'), place % 8, k
FROM numbers({{first:UInt64}}, {{count:UInt64}})
"""


def fill(url: str, rows: int, now: int) -> None:
    """Four weeks of jobs up to now, in time's order, then every day merged. By a client without our deadlines."""
    connect: Callable[..., Any] = getattr(clickhouse_connect, "get_client")  # noqa: B009  # untyped arguments
    client = connect(dsn=url, database=DATABASE)
    span = DAYS * 24 * 3_600_000
    jobs = math.ceil(rows / PER_JOB)
    began = time.monotonic()
    for first in range(0, rows, CHUNK):
        count = min(CHUNK, rows - first)
        given = {"first": first, "count": count, "jobs": jobs, "span": span, "begin": now - span}
        client.command(FILL, parameters=given, settings={"max_partitions_per_insert_block": 0})
        print(f"  {first + count:>10,} rows, {(first + count) / (time.monotonic() - began):,.0f} rows/s", flush=True)
    days = client.query("SELECT DISTINCT partition FROM system.parts WHERE table = 'journal' AND active").result_rows
    for (day,) in sorted(days):
        client.command(f"OPTIMIZE TABLE journal PARTITION '{day}' FINAL")
    client.close()


def questions(now: int, job: str, first: dict[str, Any]) -> list[tuple[str, float, str, dict[str, Any]]]:
    """What is asked: its name, the goal in ms (0 = none), the path and its parameters."""
    day = {"from": rfc3339(now - DAY), "to": rfc3339(now)}
    return [
        ("a rare word, all 29 days", 50, "logs", {"q": RARE, "limit": 200}),
        ("newest page of 200", 30, "logs", {"limit": 200}),
        ("next page of 200", 50, "logs", {"limit": 200, "cursor": first["next_cursor"]}),
        ("histogram of 24 h by level", 100, "histogram", day),
        ("one job with its timeline", 30, f"jobs/{job}", {}),
        ("histogram of 24 h, a word", 0, "histogram", {**day, "q": "declined"}),
        ("a word in parts of words, all days", 0, "logs", {"q": "efused", "limit": 200}),
        ("a phrase, all days", 0, "logs", {"q": f'"found the {RARE}"', "limit": 200}),
        ("jobs with a rare word, all days", 0, "jobs", {"q": RARE, "limit": 100}),
        ("newest failed jobs of a queue", 0, "jobs", {"state": "failed", "queue": "queue-3", "limit": 100}),
        ("error groups of 24 h", 0, "errors", day),
        ("durations of 24 h", 0, "durations", day),
    ]


async def measure(client: httpx.AsyncClient, path: str, asked: dict[str, Any]) -> tuple[float, float, float, int]:
    """Median and worst ms of an answer, median ms of CPU (all threads, ClickHouse's too), and how many items it had."""
    took: list[float] = []
    busy: list[float] = []
    items = 0
    for _ in range(ROUNDS + 1):
        began, worked = time.perf_counter(), time.process_time()
        answer = await client.get(f"/api/v1/{path}", params=asked)
        took.append((time.perf_counter() - began) * 1000)
        busy.append((time.process_time() - worked) * 1000)
        answer.raise_for_status()
        body = answer.json()
        items = len(body.get("items", body.get("timeline", ())))
    return statistics.median(took[1:]), max(took[1:]), statistics.median(busy[1:]), items


class NobodyToAsk:
    """Who handled a failure is the bot's to tell, and there is none."""

    async def last_handling(self, fingerprint: str) -> Handling:
        return Handling(is_known=False, last=None)


async def run(rows: int, folder: Path) -> None:
    url = f"chdb://{folder}"
    given = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "CLICKHOUSE_URL": url}
    settings, registry = read(LogsvcSettings, given), CollectorRegistry()
    store = Store(settings, Breakers(settings, registry))
    await migrate.apply(store, settings.logsvc_retention_days)
    [found] = await store.query("SELECT count() AS n, max(ts) AS newest FROM journal")
    now = int(found["newest"]) + 1 if found["n"] else int(time.time() * 1000)
    if not found["n"]:
        await asyncio.to_thread(fill, url, rows, now)
    await tell_size(store)
    journal = Journal(store, lambda: now, lambda: now / 1000)
    exports = Exports(asyncio.Event(), Metrics(registry).exported)
    routes = [*logs_routes(journal, exports), *jobs_routes(journal), *histogram_routes(journal)]
    routes += durations_routes(journal)
    api = build_api([*routes, *errors_routes(journal, NobodyToAsk())], Health(), registry, journal.as_of)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=cast(Any, api)), base_url="http://bench", timeout=60
    ) as client:
        first = (await client.get("/api/v1/logs", params={"limit": 200})).json()
        [middle] = await store.query(
            "SELECT source, queue, job_id FROM journal WHERE ts > {ts:Int64} AND job_id != '' LIMIT 1",
            {"ts": now - 11 * DAY},
        )
        job = "/".join(quote(str(middle[name]), safe="") for name in ("source", "queue", "job_id"))
        print("| | goal | median | worst | CPU | items |\n|---|---|---|---|---|---|")
        for name, goal, path, asked in questions(now, job, first):
            median, worst, busy, items = await measure(client, path, asked)
            wanted = f"{goal:g} ms" if goal else ""
            print(f"| {name} | {wanted} | {median:.0f} ms | {worst:.0f} ms | {busy:.0f} ms | {items} |", flush=True)
    await store.close()


async def tell_size(store: Store) -> None:
    [size] = await store.query(
        "SELECT sum(rows) AS n, sum(bytes_on_disk) AS whole, sum(secondary_indices_compressed_bytes) AS indexes,"
        " count() AS parts FROM system.parts WHERE table = 'journal' AND active"
    )
    print(
        f"{size['n']:,} rows in {size['parts']} parts, {size['whole'] / 2**20:.0f} MiB on disk,"
        f" {size['indexes'] / 2**20:.0f} MiB of them indexes; texts indexed: {store.search_index}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=ROWS, help="how many (default: %(default)s)")
    parser.add_argument("data", type=Path, nargs="?", help="where to keep them, and to find them the next time")
    asked = parser.parse_args()
    if asked.data is not None:
        asyncio.run(run(asked.rows, asked.data.absolute()))
    else:
        with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as made:
            asyncio.run(run(asked.rows, Path(made)))
