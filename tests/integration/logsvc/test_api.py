"""The API over real records: filters, cursors, odd names, age and coverage, and ClickHouse away."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import httpx

from tests.documents import typed
from tests.eventually import READY_SECONDS, eventually
from tests.integration.logsvc.house import House
from tests.tcp import listening
from tocsin.events import JobEvent, LogLine, QueueSnapshot
from tocsin.times import rfc3339

T0 = 1_795_000_000_000
HOUR = 3_600_000
ODD = [
    "a/b",
    "x//y/",
    "100%",
    "%2F",
    "two words",
    "שלום",
    "q?x=1&y#z",
    "..a",
    "+",
    "Ω/\\|",
    "'; DROP TABLE journal; --",
    "a,b",
    " edge ",
    ",",
]


def life(home: House, job_id: str, *, queue: str = "orders", at: int = T0, ends: str = "failed") -> list[JobEvent]:
    """A job that fails once and then completes or fails for good."""
    told: list[dict[str, Any]] = [
        {"event": "added", "state": "waiting"},
        {"event": "active", "state": "active", "attempt": 1, "worker": "w1"},
        {"event": "delayed", "state": "retrying", "attempt": 1, "error": f"first of {job_id}", "stack": ["a", "b"]},
        {"event": "active", "state": "active", "attempt": 2, "worker": "w2"},
        {"event": ends, "state": ends, "attempt": 2, "error": "Card declined" if ends == "failed" else "", "run_ms": 9},
    ]
    same: dict[str, Any] = {"queue": queue, "job_id": job_id, "added_at": at, "job_name": "charge", "max_attempts": 2}
    return [
        home.event(0, ts=at + step, stream_id=f"{at + step}-{job_id}", **same, **fields)
        for step, fields in enumerate(told)
    ]


def log_line(number: int, at: int, **fields: Any) -> LogLine:
    known: dict[str, Any] = {
        "source": "main",
        "queue": "orders",
        "env": "prod",
        "line": number,
        "message": f"line {number}",
    }
    return LogLine(v=1, id=f"l{at}-{number}", ts=at, **(known | fields))


async def test_jobs_their_attempts_and_what_the_history_covers(home: House) -> None:
    await home.start()
    await home.ready()
    records: list[Any] = []
    for number in range(30):
        ends = "completed" if number % 3 else "failed"
        records += life(home, str(number), at=T0 - number * HOUR, ends=ends)
    records += life(home, "7", at=T0 + HOUR, ends="completed")  # the id again, after an obliterate
    records += [log_line(n, T0 + HOUR + n, job_id="7", added_at=T0 + HOUR) for n in range(3)]
    records += [log_line(9, T0, queue="mail", job_id="7")]
    # The hash was gone when this was read: no added_at, no name.
    records.append(
        home.event(0, ts=T0 + 900, queue="orders", job_id="0", event="removed", state="removed", enriched=False)
    )
    records.append(home.event(0, ts=T0, queue="mail", job_id="", event="gap", state="unknown", lost=17, stream_id="g"))
    await home.produce(records)
    await home.stored(len(records))

    failed = await home.json("/api/v1/jobs", state="failed", queue="orders")
    assert [item["job_id"] for item in failed["items"]] == [str(n) for n in range(3, 30, 3)]
    assert failed["items"][0]["error"] == "Card declined"
    assert failed["next_cursor"] is None
    assert failed["coverage"] == {"history_since": rfc3339(T0 - 29 * HOUR), "events_lost": 0}
    everything = await home.json("/api/v1/jobs", limit=1)
    assert everything["coverage"]["events_lost"] == 17
    assert everything["as_of"] is not None

    removed = await home.json("/api/v1/jobs", state="removed")
    assert [(item["job_id"], item["job_name"], item["enriched"]) for item in removed["items"]] == [
        ("0", "charge", False)
    ]

    paged: list[str] = []
    cursor = ""
    while cursor is not None:
        page = await home.json("/api/v1/jobs", limit=7, cursor=cursor, name="charge")
        paged += [f"{item['job_id']}@{item['added_at']}" for item in page["items"]]
        cursor = page["next_cursor"]
    assert len(paged) == len(set(paged)) == 31

    job = await home.json("/api/v1/jobs/main/orders/7")
    assert [run["state"] for run in job["runs"]] == ["completed", "completed"]
    assert job["state"] == "completed"
    assert [(one["n"], one["outcome"], one["error"]) for one in job["attempts"]] == [
        (1, "failed", "first of 7"),
        (2, "completed", ""),
    ]
    assert job["attempts"][0]["stack"] == ["a", "b"]
    assert [line["message"] for line in job["logs"]] == ["line 0", "line 1", "line 2"]
    assert len(job["timeline"]) == 8
    older = await home.json("/api/v1/jobs/main/orders/7", added_at=job["runs"][1]["added_at"])
    assert older["added_at"] == job["runs"][1]["added_at"]
    assert older["logs"] == []
    assert (await home.get("/api/v1/jobs/main/orders/7", added_at="1")).status_code == 404
    assert (await home.get("/api/v1/jobs/main/orders/nobody")).status_code == 404

    by_text = await home.json("/api/v1/jobs", q="FIRST OF 12", id=["12", "13"])
    assert [item["job_id"] for item in by_text["items"]] == ["12"]
    day = await home.json("/api/v1/jobs", **{"from": "2026-11-18T00:00:00Z", "to": "2026-11-18T04:00:00+00:00"})
    assert all("2026-11-18T0" in item["ts"] for item in day["items"])


async def test_logs_are_filtered_and_paged_without_a_double_or_a_hole(home: House) -> None:
    await home.start()
    await home.ready()
    records: list[Any] = []
    for number in range(500):
        # Many in one millisecond: the cursor must tell them apart.
        records.append(home.event(0, ts=T0 + number // 50, stream_id=f"s-{number}", queue=f"q{number % 3}"))
        level = "error" if number % 10 == 0 else "info"
        records.append(log_line(number, T0 - number * HOUR, queue="q1", level=level, message=f"Line {number} of <b>"))
    await home.produce(records)
    await home.stored(1000)

    ids: list[str] = []
    cursor = ""
    while cursor is not None:
        page = await home.json("/api/v1/logs", limit=77, cursor=cursor)
        ids += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert len(ids) == len(set(ids)) == 1000

    errors = await home.json("/api/v1/logs", level="error", kind="log")
    assert len(errors["items"]) == 50
    assert [item["ts"] for item in errors["items"]] == sorted((item["ts"] for item in errors["items"]), reverse=True)
    found = await home.json("/api/v1/logs", q="line 77 OF <B>")
    assert [item["message"] for item in found["items"]] == ["Line 77 of <b>"]
    assert (await home.json("/api/v1/logs", q="%", limit=1))["items"] == []
    assert len((await home.json("/api/v1/logs", queue=["q0", "q2"], level="info,error", limit=1000))["items"]) == 333
    older = await home.json("/api/v1/logs", cursor=errors["items"][3]["cursor"], kind="log", limit=1)
    assert older["items"][0]["message"] == "Line 31 of <b>"


async def test_any_name_goes_round(home: House) -> None:
    await home.start()
    await home.ready()
    records: list[Any] = []
    for name in ODD:
        records += life(home, name, queue=name)
        records.append(QueueSnapshot(v=1, ts=T0, env="prod", source="main", queue=name, waiting=1))
    await home.produce(records)
    await home.stored(len(ODD) * 5)
    for name in ODD:
        path = quote(name, safe="")
        job = await home.json(f"/api/v1/jobs/main/{path}/{path}")
        assert (job["queue"], job["job_id"], len(job["attempts"])) == (name, name, 2)
        queue = await home.json(f"/api/v1/queues/main/{path}")
        assert queue["queue"] == name
        [listed] = (await home.json("/api/v1/jobs", queue=name, id=name))["items"]
        assert (listed["queue"], listed["job_id"]) == (name, name)
        [counted] = (await home.json("/api/v1/queues", queue=name))["items"]
        assert counted["queue"] == name
        lines = (await home.json("/api/v1/logs", job_id=name, state="failed,active"))["items"]
        assert {line["queue"] for line in lines} == {name}
    assert (await home.get("/api/v1/jobs/main/a/b/a%2Fb")).status_code == 404
    listed = await home.json("/api/v1/queues", limit=5)
    rest = await home.json("/api/v1/queues", cursor=listed["next_cursor"])
    assert {item["queue"] for item in listed["items"] + rest["items"]} == set(ODD)
    assert listed["items"][0]["workers"] is None


ANSWERS = [
    ("/api/v1/logs?limit=0", 400),
    ("/api/v1/logs?limit=1001", 400),
    ("/api/v1/logs?limit=x", 400),
    ("/api/v1/logs?from=yesterday", 400),
    ("/api/v1/logs?from=2026-11-22T00:00:00Z&to=2026-11-21T00:00:00Z", 400),
    ("/api/v1/logs?cursor=abc", 400),
    ("/api/v1/logs?queu=orders", 400),
    ("/api/v1/jobs?cursor=WzFd", 400),
    ("/api/v1/jobs?q=" + "x" * 1001, 400),
    ("/api/v1/logs?queue=%27%20OR%201=1%20--", 200),
    ("/api/v1/logs?q=%00%27%5C", 200),
    ("/api/v1/jobs?id=%7Bx:String%7D", 200),
    ("/api/v1/nothing", 404),
    ("/nothing", 404),
]


async def curl(home: House, words: Sequence[str]) -> httpx.Response:
    """What a `curl` of the documents gets from this logsvc."""
    [address] = [word for word in words if word.startswith("$TOCSIN/")]
    bodies = [words[place + 1] for place, word in enumerate(words) if word == "-d"]
    headers = [words[place + 1].partition(": ") for place, word in enumerate(words) if word == "-H"]
    async with httpx.AsyncClient(timeout=READY_SECONDS) as client:
        return await client.request(
            "POST" if bodies else "GET",
            address.replace("$TOCSIN", f"{home.url}/api/v1"),
            content=bodies[0] if bodies else None,
            headers={name: value.replace("$TOKEN", home.environ["TOCSIN_SERVICE_TOKEN"]) for name, _, value in headers},
        )


async def test_hostile_mistaken_and_strange_questions_get_a_clear_answer(home: House) -> None:
    home.environ["TOCSIN_SERVICE_TOKEN"] = "service-token-of-the-test"
    await home.start()
    await home.ready()
    await home.produce([home.event(number) for number in range(10)])
    await home.stored(10)
    for path, status in ANSWERS:
        answer = await home.get(path)
        assert answer.status_code == status, (path, answer.text)
        if status >= 400:
            assert answer.json()["detail"]
        assert answer.headers["x-content-type-options"] == "nosniff"

    asked = [one for one in typed() if one.file == "docs/api.md" and one.words[:1] == ("curl",)]
    assert len(asked) > 15
    for example in asked:
        answer = await curl(home, example.words)
        # A job, failure or letter that only the example has; what the bot would have to answer.
        absent = "there is no" in answer.text or "no such" in answer.text
        assert answer.is_success or (answer.status_code == 404 and absent) or answer.status_code == 503, (
            example.words,
            answer.text,
        )

    paths = (await home.json("/openapi.json"))["paths"]
    assert {"/api/v1/queues", "/api/v1/jobs", "/api/v1/jobs/{source}/{queue}/{job_id}", "/api/v1/logs"} <= set(paths)
    names = {parameter["name"] for parameter in paths["/api/v1/logs"]["get"]["parameters"]}
    assert {"env", "queue", "level", "state", "q", "from", "to", "cursor", "limit"} <= names

    async with httpx.AsyncClient(
        base_url=home.url, headers={"origin": "https://evil.example"}, timeout=READY_SECONDS
    ) as client:
        assert (await client.get("/api/v1/queues")).status_code == 403
        assert (await client.get("/api/v1/live/sse")).status_code == 403
    async with httpx.AsyncClient(base_url=home.url, headers={"host": "evil.example"}, timeout=READY_SECONDS) as client:
        assert (await client.get("/logs")).status_code == 403
        assert (await client.get("/health/live")).status_code == 200


async def test_queues_go_on_while_clickhouse_is_away(home: House) -> None:
    home.environ["CLICKHOUSE_URL"] = "http://127.0.0.1:1/tocsin"
    await home.start()
    await home.ready()
    await home.produce([QueueSnapshot(v=1, ts=T0, env="prod", source="main", queue="orders", waiting=3, workers=2)])

    async def is_told() -> bool:
        return bool((await home.json("/api/v1/queues"))["items"])

    await eventually(is_told, what="the queue told")
    queues = await home.json("/api/v1/queues")
    assert queues["items"][0]["waiting"] == 3
    assert queues["coverage"] == {"history_since": None, "events_lost": None}
    history = await home.get("/api/v1/logs")
    assert history.status_code == 503
    assert int(history.headers["retry-after"]) > 0
    assert history.json()["as_of"] is None
    assert (await home.json("/api/v1/system"))["gaps"] is None
    assert await home.stop() == 0


async def test_queues_and_system_answer_while_clickhouse_accepts_and_never_answers(home: House) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with listening(never) as port:
        home.environ["CLICKHOUSE_URL"] = f"http://127.0.0.1:{port}/tocsin"
        await home.start()
        await home.ready()
        await home.produce([QueueSnapshot(v=1, ts=T0, env="prod", source="main", queue="orders", waiting=3)])

        async def is_told() -> bool:
            return bool((await home.json("/api/v1/queues"))["items"])

        await eventually(is_told, what="the queue told")
        assert (await home.json("/api/v1/queues"))["coverage"] == {"history_since": None, "events_lost": None}
        assert (await home.json("/api/v1/system"))["gaps"] is None
        assert await home.stop() == 0


async def test_answers_about_events_do_not_wait_for_snapshots(home: House) -> None:
    """Snapshots are stored at leisure: here the second one of a queue a minute later."""
    home.environ["LOGSVC_INSERT_SECONDS"] = "3"
    await home.start()
    await home.ready()
    snapshot = QueueSnapshot(v=1, ts=T0, env="prod", source="main", queue="mail", sources_queues=1)

    async def told(field: str) -> int:
        """Of the topic's partitions the most; 0 while none is given to this replica."""
        lanes = (await home.json("/api/v1/system"))["pipeline"]
        return max((one[field] or 0 for one in lanes if one["topic"].endswith("queues")), default=0)

    async def is_stored() -> bool:
        return await told("next_offset") > 0

    async def waits() -> bool:
        return await told("buffered_bytes") > 0

    await home.produce([snapshot])
    await eventually(is_stored, what="the first snapshot stored")
    await home.produce([snapshot])
    await eventually(waits, what="the second one read")
    await home.produce([home.event(1)])
    produced = rfc3339(int(time.time() * 1000))

    async def is_as_of_then() -> bool:
        return str((await home.json("/api/v1/jobs"))["as_of"] or "") >= produced

    await eventually(is_as_of_then, what="history as of the event")
    assert await waits(), "the snapshot is still to be stored"
