"""What the API tells of a known past."""

import json

import pytest

from tests.integration.logsvc.furnished import HOUR, LOST, MINUTE, ROWS, T0, TOKEN
from tests.integration.logsvc.house import House
from tocsin.times import rfc3339

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_schedulers_tell_when_they_ran_are_due_and_what_they_missed(known: House) -> None:
    page = await known.json("/api/v1/schedulers")
    hourly, nightly = page["items"]
    assert (hourly["scheduler"], nightly["scheduler"]) == ("hourly", "nightly")
    assert (hourly["is_overdue"], hourly["missed"], nightly["missed"]) == (True, 3, 0)
    assert nightly["next_run"] == rfc3339(T0 + 10 * MINUTE)
    assert hourly["last_run"] == rfc3339(T0 - 50 * MINUTE), "of the schedule: no job of it was seen"
    assert page["coverage"] == {"history_since": rfc3339(T0 - 119 * MINUTE), "events_lost": LOST}
    late = await known.json("/api/v1/schedulers", overdue="true")
    assert [item["scheduler"] for item in late["items"]] == ["hourly"]
    first = await known.json("/api/v1/schedulers", limit=1)
    rest = await known.json("/api/v1/schedulers", cursor=first["next_cursor"])
    assert [item["scheduler"] for item in first["items"] + rest["items"]] == ["hourly", "nightly"]


async def test_system_tells_of_redis_dead_letters_and_versions(known: House) -> None:
    system = await known.json("/api/v1/system")
    [redis] = system["sources"]
    assert (redis["source"], redis["policy"], redis["evicted_keys"], redis["role"]) == ("main", "allkeys-lru", 3, "")
    assert system["all_dead_letters"]["count"] == 1
    assert system["all_dead_letters"]["newest"][0]["reason"] == "no event"
    assert system["versions"]["clickhouse"]
    assert system["breakers"]["clickhouse"] == "closed"
    assert system["schedulers"] == 2
    assert system["coverage"]["events_lost"] == LOST


async def test_one_queue_tells_all_that_is_polled_of_it(known: House) -> None:
    one = await known.json("/api/v1/queues/main/orders")
    assert (one["waiting"], one["workers"], one["overdue"], one["concurrency"]) == (3, 2, 4, None)
    assert one["coverage"]["events_lost"] == LOST


async def test_every_answer_of_ours_says_how_old_it_is_and_what_it_covers(known: House) -> None:
    """By the description, which schemathesis compares with the answers."""
    described = await known.json("/openapi.json")
    schemas = described["components"]["schemas"]
    not_of_history = ("incidents", "silences", "rules", "views", "pauses", "tokens", "audit", "me", "exports")
    told: dict[str, set[str]] = {}
    for path, methods in described["paths"].items():
        kinds = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        if path.startswith("/api/v1/") and path.split("/")[3] not in not_of_history and "application/json" in kinds:
            schema = kinds["application/json"]["schema"]
            told[path] = set(schemas[schema["$ref"].rpartition("/")[2]]["required"])
    assert len(told) > 12
    letters = told.pop("/api/v1/dead-letters")
    assert "as_of" in letters
    del told["/api/v1/dead-letters/{letter_id}"]  # a thing that never changes, of no time asked for
    assert [path for path, names in told.items() if not {"as_of", "coverage"} <= names] == []


async def test_a_histogram_counts_what_the_logs_hold(known: House) -> None:
    times = {"from": rfc3339(T0 - HOUR), "to": rfc3339(T0)}
    chart = await known.json("/api/v1/histogram", **times, bucket=300)
    assert len(chart["items"]) == 12
    assert sum(item["lost"] for item in chart["items"]) == LOST
    failed = sum(item["counts"].get("error", 0) for item in chart["items"])
    errors = await known.json("/api/v1/logs", **times, level="error", limit=1000)
    assert failed == len(errors["items"])
    assert chart["total"] == sum(item["total"] for item in chart["items"])
    exact = await known.json("/api/v1/histogram", **times, bucket=300, q='"econnrefused"')
    finals = [item for item in errors["items"] if item.get("fingerprint") == "f-refused"]
    assert sum(item["counts"].get("error", 0) for item in exact["items"]) == len(finals) == 15
    assert sum(item["counts"].get("warn", 0) for item in exact["items"]) == 61
    fine = await known.json("/api/v1/histogram", **times, bucket=10, by="state", queue="mail")
    assert {word: sum(item["counts"].get(word, 0) for item in fine["items"]) for word in ("failed", "active")} == {
        "failed": 1,
        "active": 4,
    }
    assert (await known.get("/api/v1/histogram", **times, bucket=1)).json()["detail"].startswith("bucket: more than")
    whole = await known.json("/api/v1/histogram", **{"from": "1970-01-01T00:00:00Z", "to": "9999-01-01T00:00:00Z"})
    assert whole["total"] == ROWS


async def test_events_are_lost_in_the_time_that_an_answer_covers(known: House) -> None:
    """Ends are moved to where a bucket or a minute ends: the gap lies right outside of what is asked."""
    gap = T0 - 30 * MINUTE
    for chart in ("histogram", "durations", "backlog"):
        told = await known.json(f"/api/v1/{chart}", **{"from": rfc3339(T0 - HOUR), "to": rfc3339(gap)}, bucket=3600)
        assert (told["to"], told["coverage"]["events_lost"]) == (rfc3339(T0), LOST), chart
    for path in ("errors", "errors/f-refused"):
        times = {"from": rfc3339(gap + 1000), "to": rfc3339(T0)}
        assert (await known.json(f"/api/v1/{path}", **times))["coverage"]["events_lost"] == LOST, path
    for number, lost in ((30, LOST), (10, 0)):
        job = await known.json(f"/api/v1/jobs/main/orders/{number}")
        assert job["coverage"]["events_lost"] == lost, "while the job lasted"


async def test_failures_are_told_in_groups_with_their_past(known: House) -> None:
    times = {"from": rfc3339(T0 - HOUR), "to": rfc3339(T0 + MINUTE)}
    page = await known.json("/api/v1/errors", **times, sort="failures")
    refused, bounced = page["items"]
    assert (refused["fingerprint"], bounced["fingerprint"]) == ("f-refused", "f-bounced")
    assert (refused["failures"], refused["final_failures"], refused["failures_before"]) == (78, 16, 73)
    assert (refused["is_new"], bounced["is_new"]) == (False, True)
    assert refused["first_seen"] == rfc3339(T0 - 119 * MINUTE + 2)
    assert sum(refused["trend"]) == refused["failures"]
    assert [place["queue"] for place in refused["queues"]] == ["mail", "orders"]
    assert bounced["error"] == "Bounced: <b>"

    paged: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        part = await known.json("/api/v1/errors", **times, sort="last_seen", limit=1, cursor=cursor)
        paged += [item["fingerprint"] for item in part["items"]]
        cursor = part["next_cursor"]
    assert paged == ["f-refused", "f-bounced"]
    [found] = (await known.json("/api/v1/errors", **times, q="bounced -refused"))["items"]
    assert found["fingerprint"] == "f-bounced"

    detail = await known.json("/api/v1/errors/f-refused", **times)
    assert sum(item["failures"] for item in detail["over_time"]) == refused["failures"]
    assert [(place["queue"], place["failures"]) for place in detail["places"]] == [("orders", 77), ("mail", 1)]
    assert len(detail["newest"]) == 20
    assert detail["newest"][0]["job_id"] == "0"
    assert detail["handling"] == {"is_known": False, "last": None}
    assert (await known.get("/api/v1/errors/nothing%2Flike%20it")).status_code == 404


async def test_durations_tell_what_the_jobs_took(known: House) -> None:
    times = {"from": rfc3339(T0 - HOUR), "to": rfc3339(T0 + MINUTE)}
    told = await known.json("/api/v1/durations", **times, queue="orders")
    whole = told["whole"]
    assert (whole["completed"], whole["failed"], whole["retried"], whole["added"]) == (45, 16, 61, 61)
    assert whole["failure_rate"] == 16 / 61
    assert (whole["wait"]["count"], whole["wait"]["p50"]) == (61, pytest.approx(1000, rel=0.01))
    assert (whole["run"]["count"], whole["run"]["max"], whole["run"]["mean"]) == (61, 60, 30)
    assert whole["run"]["p99"] == pytest.approx(59, rel=0.02)
    assert sum(item["completed"] for item in told["items"]) == 45
    [orders] = told["queues"]
    assert orders["queue"] == "orders"
    assert (sum(orders["completed_trend"]), sum(orders["failed_trend"])) == (45, 16)
    ended = [sum(part) for part in zip(orders["completed_trend"], orders["failed_trend"], strict=True)]
    assert ended == [*[3] * 20, 1], "one a minute is level in the chart, too"
    assert (await known.get("/api/v1/durations", bucket=90)).status_code == 400
    of_all = await known.json("/api/v1/durations", **{"from": rfc3339(T0 - 2 * HOUR), "to": rfc3339(T0 + MINUTE)})
    assert [one["queue"] for one in of_all["queues"]] == ["orders", "mail"], "a service's own lines are of no queue"


async def test_backlog_tells_what_was_seen_and_where_nobody_looked(known: House) -> None:
    times = {"from": rfc3339(T0 - HOUR), "to": rfc3339(T0 + MINUTE)}
    told = await known.json("/api/v1/backlog", **times, queue="orders")
    assert told["bucket_seconds"] == 120
    *before, last = told["items"]
    assert {item["waiting"] for item in before} == {None}
    assert (last["ts"], last["waiting"], last["active"]) == (rfc3339(T0), 3, 0)
    assert last["oldest_waiting_seconds"] is None
    assert (await known.get("/api/v1/backlog", bucket=60)).status_code == 400


async def test_a_marker_is_one_however_often_it_is_sent_and_is_drawn_where_it_belongs(known: House) -> None:
    mark = {"env": "prod", "service": "shop", "version": "1.4.2", "by": "CI", "id": "deploy-7"}
    mark |= {"ts": rfc3339(T0 - 10 * MINUTE)}
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}):
        assert (await known.post("/api/v1/markers", mark, **headers)).status_code == 401
    for version in ("1.4.2", "another"):
        answer = await known.post("/api/v1/markers", mark | {"version": version}, authorization=f"Bearer {TOKEN}")
        assert answer.status_code == 201
        assert answer.json()["version"] == "1.4.2"
    for ts in (T0 - 90 * MINUTE, T0 - 3 * HOUR):
        other = mark | {"id": f"at {ts}", "ts": rfc3339(ts), "version": str(ts)}
        assert (await known.post("/api/v1/markers", other, authorization=f"Bearer {TOKEN}")).status_code == 201
    elsewhere = mark | {"env": "staging", "id": "elsewhere", "service": "staged"}
    assert (await known.post("/api/v1/markers", elsewhere, authorization=f"Bearer {TOKEN}")).status_code == 201
    told = await known.json("/api/v1/markers", service="shop")
    assert [one["id"] for one in told["items"]] == ["deploy-7", f"at {T0 - 90 * MINUTE}", f"at {T0 - 3 * HOUR}"]
    first = await known.json("/api/v1/markers", service="shop", limit=2)
    rest = await known.json("/api/v1/markers", service="shop", cursor=first["next_cursor"])
    assert [one["id"] for one in rest["items"]] == [f"at {T0 - 3 * HOUR}"]
    times = {"from": rfc3339(T0 - HOUR), "to": rfc3339(T0)}
    of_all = (await known.json("/api/v1/histogram", **times))["markers"]
    assert {one["id"] for one in of_all} == {"deploy-7", "elsewhere"}
    of_env = (await known.json("/api/v1/histogram", **times, env="staging"))["markers"]
    assert [one["id"] for one in of_env] == ["elsewhere"]
    # A queue is in one environment: deploys elsewhere are no news of it.
    queue = {"from": times["from"], "to": rfc3339(T0 + MINUTE), "source": "main", "queue": "orders"}
    for chart in ("durations", "backlog", "histogram"):
        markers = (await known.json(f"/api/v1/{chart}", **queue))["markers"]
        assert [one["id"] for one in markers] == ["deploy-7"], chart
    for number, during in ((10, ["deploy-7"]), (11, [])):
        job = await known.json(f"/api/v1/jobs/main/orders/{number}")
        assert [one["id"] for one in job["markers"]] == during, "what happened while the job lasted"
    detail = await known.json("/api/v1/errors/f-bounced", **times)
    assert detail["marker_before"]["id"] == "deploy-7"
    for bad in ({}, mark | {"env": ""}, mark | {"ts": "soon"}, mark | {"ts": "9999-01-01T00:00:00Z"}, mark | {"x": 1}):
        refused = await known.post("/api/v1/markers", bad, authorization=f"Bearer {TOKEN}")
        assert refused.status_code == 400
        assert refused.json()["detail"]


async def test_a_job_tells_its_parent_its_children_and_its_log(known: House) -> None:
    parent = await known.json("/api/v1/jobs/main/orders/7")
    [child] = parent["children"]
    assert (child["queue"], child["job_id"], child["state"]) == ("mail", "901", "completed")
    assert parent["parent_job"] is None
    assert [line["message"] for line in parent["logs"]] == ["=cmd()", "Card 4711 declined", 'a "b",\nc']
    mailed = await known.json("/api/v1/jobs/main/mail/901")
    assert mailed["parent_job"] == {"source": "main", "queue": "orders", "job_id": "7"}
    assert (mailed["children"], mailed["scheduler"]) == ([], "nightly")


async def test_a_search_of_jobs_finds_each_word_in_whichever_row_it_stands(known: House) -> None:
    async def found(q: str) -> list[str]:
        return sorted(item["job_id"] for item in (await known.json("/api/v1/jobs", q=q, limit=1000))["items"])

    assert await found("4711") == ["7"], "in a line of its log"
    assert await found("declined ord-7 charge") == ["7"], "in its log, its data and its name"
    assert await found("ord-7") == ["7"], "and not ord-70"
    assert len(await found('"ord-7"')) == 11
    assert await found("bounced") == ["900"]
    assert len(await found("econnrefused -ord-7")) == 120
    assert await found("471") == []
    assert len(await found('charge "ord-1"')) == 31


async def test_what_is_shown_can_be_had_as_a_file(known: House) -> None:
    told = await known.get("/api/v1/logs.csv", queue="orders", job_id="7")
    assert told.headers["content-type"] == "text/csv; charset=utf-8"
    assert told.headers["content-disposition"].startswith('attachment; filename="tocsin-logs-')
    assert told.headers["x-tocsin-rows"] == "9"
    same = await known.json("/api/v1/logs", queue="orders", job_id="7")
    assert told.headers["x-tocsin-as-of"] <= same["as_of"]
    assert told.headers["x-tocsin-history-since"] == same["coverage"]["history_since"]
    assert int(told.headers["x-tocsin-events-lost"]) == same["coverage"]["events_lost"]
    assert "'=cmd()" in told.text
    assert told.text.splitlines()[-1] == "# complete: 9 rows"
    lines = (await known.get("/api/v1/logs.ndjson", queue="orders")).text.splitlines()
    page = await known.json("/api/v1/logs", queue="orders", limit=1000)
    assert [json.loads(line) for line in lines[:-1]] == page["items"]
    assert json.loads(lines[-1]) == {"end": {"is_complete": True, "rows": len(page["items"])}}
    assert (await known.get("/api/v1/logs.csv", limit=5)).status_code == 400
