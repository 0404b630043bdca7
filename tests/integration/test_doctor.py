"""`tocsin doctor` against real servers, each broken on purpose: named, with the mend, and without any secret."""

import asyncio
import contextlib
import os
import re
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # has none
import httpx
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from litestar import Litestar, Request, Response, get, post
from litestar.params import FromPath
from redis.asyncio import Redis

from bot.store.database import driver_url
from tests.certificate import make_certificate
from tests.eventually import eventually
from tests.ports import free_port
from tests.servers.pgbouncer import running_pgbouncer
from tests.tcp import close, listening, tls_before
from tocsin.doctor import Finding, Verdict, examine, run_doctor
from tocsin.doctor.clickhouse import check_clickhouse
from tocsin.doctor.clock import check_clock
from tocsin.doctor.consul import check_consul
from tocsin.doctor.kafka import check_kafka
from tocsin.doctor.postgres import check_postgres
from tocsin.doctor.public_url import check_public_url
from tocsin.doctor.redis import check_redis
from tocsin.doctor.report import render
from tocsin.doctor.run import DEADLINE_SECONDS
from tocsin.doctor.settings import check_settings
from tocsin.doctor.telegram import check_telegram
from tocsin.http import serve_http
from tocsin.sandbox.app import run_sandbox
from tocsin.sandbox.options import SandboxOptions
from tocsin.stack.ports import is_free
from tocsin.topics import Topics

TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1"  # the example of Telegram's own documentation
WRONG = "wrong-secret-9f3b"
CLICKHOUSE_DOC = (Path(__file__).parents[2] / "docs" / "clickhouse.md").read_text()


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Any]:
    """A client of this test's Redis, with one ordinary queue in it."""
    client = cast(Any, Redis).from_url(redis_url, decode_responses=True)
    await client.hset("bull:emails:meta", mapping={"opts.maxLenEvents": "10000", "version": "bullmq:6.7.0"})
    yield client
    await client.aclose()


@pytest.fixture
async def sandbox() -> AsyncGenerator[str]:
    """Address of a Telegram sandbox that knows TOKEN only."""
    port, stop = free_port(), asyncio.Event()
    task = asyncio.create_task(run_sandbox(SandboxOptions(port=port, token=TOKEN), stop))
    url = f"http://127.0.0.1:{port}"

    async def answers() -> bool:
        if task.done():
            task.result()
        async with httpx.AsyncClient() as client:
            try:
                return (await client.get(f"{url}/bot{TOKEN}/getMe")).is_success
            except httpx.HTTPError:
                return False

    await eventually(answers)
    yield url
    stop.set()
    await task


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the services, and who is asked beside them, take their time: a busy machine is no problem here."""
    for slow in ("settings", "kafka", "redis", "redis_actions", "postgres", "clickhouse", "consul", "telegram"):
        monkeypatch.setattr(f"tocsin.doctor.{slow}.SECONDS", 60)
    monkeypatch.setattr("tocsin.doctor.redis.SCAN_SECONDS", 30)
    monkeypatch.setattr("tocsin.doctor.run.DEADLINE_SECONDS", 90)


PATIENT = pytest.mark.usefixtures("patient")


def only(findings: list[Finding], verdict: Verdict) -> Finding:
    """The one finding of this verdict."""
    chosen = [finding for finding in findings if finding.verdict is verdict]
    assert len(chosen) == 1, findings
    return chosen[0]


@PATIENT
async def test_a_healthy_setup_is_all_right(
    redis: Any,
    redis_url: str,
    kafka_bootstrap: str,
    topic_prefix: str,
    postgres_url: str,
    sandbox: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environ = {
        "REDIS_URL": redis_url,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "KAFKA_TOPIC_PREFIX": topic_prefix,
        "DATABASE_URL": postgres_url,
        "CLICKHOUSE_URL": f"chdb://{tmp_path}/chdb",
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_API_URL": sandbox,
        "TELEGRAM_ADMINS": "1001",
        "TELEGRAM_ALERT_CHATS": "prod=1001",
        "LOGSVC_PORT": "0",
        "BRIDGE_PORT": "0",
        "BOT_PORT": "0",
    }
    assert await run_doctor(environ) == 0
    told = capsys.readouterr().out
    assert "no problems, no warnings" in told
    assert "1 queue, each keeps 10,000 events or more" in told
    assert "4.2 (knows metadata.version 29)" in told
    assert "@tocsin_sandbox_bot" in told
    assert TOKEN not in told


@PATIENT
async def test_one_service_in_its_own_environment_is_all_right(
    redis: Any, redis_url: str, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container: no bot token there, no Postgres, and nowhere to write."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.access", _may_not)
    environ = {
        "REDIS_URL": redis_url,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "KAFKA_TOPIC_PREFIX": topic_prefix,
        "BRIDGE_PORT": "0",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    findings = await examine(environ, ["bridge"])
    assert {finding.verdict for finding in findings} <= {Verdict.OK, Verdict.NOTE}, findings
    checks = {finding.check for finding in findings}
    assert {"Settings", "Redis main", "Kafka", "Consul", "Ports"} <= checks
    assert not {"Postgres", "Telegram", "ClickHouse", "Own Kafka", "Disk"} & checks


@PATIENT
async def test_a_service_by_itself_needs_its_servers_named() -> None:
    findings = await check_settings({}, ["logsvc"])
    assert {finding.found for finding in findings} == {
        "CLICKHOUSE_URL: required, not set (logsvc)",
        "KAFKA_BOOTSTRAP_SERVERS: required, not set (logsvc)",
    }


@PATIENT
async def test_whatever_a_service_would_refuse_is_named_with_its_mend() -> None:
    wrong = {
        "WEBSOCKET_PORT": WRONG,
        "HEARTBEAT_URL": f"http://{WRONG}",
        "TRUSTED_PROXIES": WRONG,
        "BIND_HOST": "0.0.0.0",
        "LOGSVC_BATCH_ROW": "5",
        "TELEGRAM_ALERT_CHATS": WRONG,
        "REDIS_SOURCES": f"a=redis://:{WRONG}@h",
        "PUBLIC_ULR": WRONG,
        "KAFKA_PARTITIONS": WRONG,
        "TOCSIN_SERVICE_TOKEN": "short",
    }
    findings = await check_settings({"REDIS_URL": "redis://h", **wrong})
    assert {finding.verdict for finding in findings} == {Verdict.BAD}
    named = {finding.found.partition(":")[0]: finding for finding in findings}
    assert set(named) == {*wrong, "settings", "SESSION_SECRET"} - {"REDIS_SOURCES", "BIND_HOST"}
    assert all(name in finding.mend for name, finding in named.items() if name != "settings")
    assert "exactly one of REDIS_URL, REDIS_SOURCES" in named["settings"].found
    assert "openssl rand -hex 32" in named["TOCSIN_SERVICE_TOKEN"].mend
    assert named["SESSION_SECRET"].found.endswith("(logsvc)"), "which an address for everybody asks of logsvc"
    assert named["PUBLIC_ULR"].found.endswith("(bridge, logsvc, bot)"), "told once"
    assert WRONG not in str(findings)


@PATIENT
async def test_what_is_not_set_and_given_by_up_or_told_elsewhere_is_no_problem_of_the_settings() -> None:
    assert [finding.verdict for finding in await check_settings({})] == [Verdict.OK]
    empty = {"REDIS_URL": "", "DATABASE_URL": "", "CLICKHOUSE_URL": " ", "TELEGRAM_BOT_TOKEN": ""}
    assert [finding.verdict for finding in await check_settings(empty)] == [Verdict.OK]


async def test_a_service_that_does_not_answer_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.doctor.settings.SECONDS", 0.001)
    findings = await check_settings({})
    assert {finding.verdict for finding in findings} == {Verdict.WARN}
    assert "python -m bridge --check" in findings[0].mend


@pytest.mark.parametrize(
    ("ahead", "verdict", "words"),
    [
        (0, Verdict.OK, "within 5 s"),
        (-20, Verdict.WARN, "20 s behind Redis'"),
        (3700, Verdict.BAD, "3,700 s ahead of Redis'"),
    ],
)
async def test_clocks_that_differ_are_told(redis: Any, ahead: float, verdict: Verdict, words: str) -> None:
    [finding] = await check_clock(redis, "Redis main", now=lambda: time.time() + ahead)
    assert finding.verdict is verdict
    assert words in finding.found


async def test_a_slow_line_is_no_wrong_clock(redis: Any) -> None:
    times = iter((time.time() - 100, time.time()))
    [finding] = await check_clock(redis, "Redis main", now=lambda: next(times))
    assert finding.verdict is Verdict.OK


async def test_a_wrong_redis_password_is_named(redis: Any, redis_url: str) -> None:
    await redis.config_set("requirepass", "the-right-one")
    port = redis_url.rpartition(":")[2]
    for url in (f"redis://:{WRONG}@127.0.0.1:{port}", redis_url):
        finding = only(await check_redis({"REDIS_URL": url}), Verdict.BAD)
        assert "password" in finding.found
        assert "REDIS_URL" in finding.mend
        assert WRONG not in str(finding)
    await redis.execute_command("AUTH", "the-right-one")
    assert not await _bad(check_redis({"REDIS_URL": f"redis://:the-right-one@127.0.0.1:{port}"}))


async def test_missing_redis_rights_are_named_and_the_mends_mend_them(redis: Any, redis_url: str) -> None:
    await redis.execute_command("ACL", "SETUSER", "watcher", "on", ">secret", "-@all", "+ping", "+hello")
    environ = {"REDIS_URL": redis_url.replace("redis://", "redis://watcher:secret@")}
    rounds = 0
    while findings := await _bad(check_redis(environ)):
        assert "may not" in findings[0].found
        await redis.execute_command(*findings[0].mend.removeprefix("redis-cli ").split())
        rounds += 1
        assert rounds < 3
    assert rounds > 0


async def test_short_event_streams_are_named_per_queue(redis: Any, redis_url: str) -> None:
    await redis.hset("bull:sms:meta", "opts.maxLenEvents", "500")
    await redis.hset("bull:video/hd:meta", "opts.maxLenEvents", "9999")
    finding = only(await check_redis({"REDIS_URL": redis_url}), Verdict.WARN)
    assert "2 of 3 queues" in finding.found
    assert "sms (500), video/hd (9,999)" in finding.found
    assert "maxLen: 10000" in finding.mend


async def test_an_event_stream_that_keeps_nothing_is_a_problem(redis: Any, redis_url: str) -> None:
    await redis.hset("bull:sms:meta", "opts.maxLenEvents", "0")
    assert "sms (0)" in only(await check_redis({"REDIS_URL": redis_url}), Verdict.BAD).found


async def test_a_redis_that_evicts_is_warned_of(redis: Any, redis_url: str) -> None:
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    finding = only(await check_redis({"REDIS_URL": redis_url}), Verdict.WARN)
    assert "allkeys-lru" in finding.found
    assert "CONFIG SET maxmemory-policy noeviction" in finding.mend


async def test_a_big_and_distant_redis_is_not_called_down(redis: Any, redis_url: str) -> None:
    """100,000 keys behind a line of 50 ms: a whole SCAN would take five seconds."""
    await redis.eval("for number = 1, 100000 do redis.call('SET', 'k' .. number, '') end", 0)
    there = int(redis_url.rpartition(":")[2].partition("/")[0])

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", there)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, inner_writer, 0.05))
                group.create_task(_pump(inner_reader, writer, 0))
        finally:
            await close(inner_writer)

    async with listening(relay) as port:
        findings = await check_redis({"REDIS_URL": f"redis://127.0.0.1:{port}/0"})
    assert {finding.verdict for finding in findings} <= {Verdict.OK, Verdict.NOTE}, findings
    assert "seen so far" in findings[-1].found


async def test_a_queue_whose_name_is_no_text_is_a_queue_like_any_other(redis: Any, redis_url: str) -> None:
    await redis.hset(b"bull:caf\xe9:meta", "opts.maxLenEvents", "500")
    finding = only(await check_redis({"REDIS_URL": redis_url}), Verdict.WARN)
    assert "1 of 2 queues" in finding.found
    assert "caf? (500)" in render([finding], colour=False)


async def test_no_redis_and_a_wrong_address_are_told(tmp_path: Path) -> None:
    assert "REDIS_URL" in only(await check_redis({}), Verdict.BAD).mend
    finding = only(await check_redis({"REDIS_URL": f"redis://u:{WRONG}/x@127.0.0.1:6379"}), Verdict.BAD)
    assert WRONG not in str(finding)
    sources = tmp_path / "sources.toml"
    sources.write_text(f'[[source]]\nname = "a"\nurl = "redis://127.0.0.1:{free_port()}"\n[[source]]\nname = "b"\n')
    assert "name and a url" in only(await check_redis({"TOCSIN_SOURCES_FILE": str(sources)}), Verdict.BAD).found


async def test_absent_topics_are_named_one_by_one_and_the_mend_mends_them(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "KAFKA_TOPIC_PREFIX": topic_prefix,
        "KAFKA_TOPICS_CREATE": "check",
        "KAFKA_PARTITIONS": "2",
    }
    findings = await _bad(check_kafka(environ))
    names = {spec.name for spec in Topics(topic_prefix).specs()}
    assert {finding.check.removeprefix("Kafka topic ") for finding in findings} == names
    await _create(kafka_bootstrap, [_topic_of(finding.mend) for finding in findings])
    assert not await _bad(check_kafka(environ))
    findings = await _bad(check_kafka({**environ, "KAFKA_PARTITIONS": "3"}))
    assert len(findings) == 5
    assert all("export KAFKA_PARTITIONS=2" in finding.mend for finding in findings)


async def test_topics_that_will_be_created_are_no_problem(kafka_bootstrap: str, topic_prefix: str) -> None:
    environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "KAFKA_TOPIC_PREFIX": topic_prefix}
    assert "bridge creates them" in only(await check_kafka(environ), Verdict.NOTE).found
    finding = only(await check_kafka({**environ, "KAFKA_REPLICATION_FACTOR": "3"}), Verdict.BAD)
    assert finding.mend == "export KAFKA_REPLICATION_FACTOR=1"


async def test_a_transaction_that_hangs_is_named_with_what_ends_it_once_it_is_old(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = Topics(topic_prefix)
    await _create(kafka_bootstrap, [NewTopic(spec.name, spec.partitions or 8, 1) for spec in topics.specs()])
    environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "KAFKA_TOPIC_PREFIX": topic_prefix}
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, transactional_id=f"{topic_prefix}hanging")
    async with producer:
        async with producer.transaction():
            await producer.send_and_wait(topics.jobs, b"an event", partition=3)
        await producer.begin_transaction()
        await producer.send_and_wait(topics.jobs, b"another", partition=3)
        await producer.send_and_wait(topics.cursors, b"its position", partition=3)
        assert await _bad(check_kafka(environ)) == []  # as old as any that is under way
        monkeypatch.setattr("tocsin.doctor.kafka_hanging.HANGING_SECONDS", 0)
        [together] = await _bad(check_kafka(environ))
        await producer.abort_transaction()
        await producer.begin_transaction()
        await producer.send_and_wait(topics.jobs, b"another", partition=3)
        [alone] = await _bad(check_kafka(environ))
        await producer.abort_transaction()
    assert f"{topics.jobs}-3 from offset 2" in together.found
    assert f"{topics.cursors}-3 from offset 0" in together.found
    assert "read from Redis again" in together.found
    assert f"abort --topic {topics.jobs} --partition 3 --start-offset 2" in together.mend
    assert "missing" in alone.found
    assert await _bad(check_kafka(environ)) == []


async def test_a_kafka_that_wants_another_protocol_is_named(kafka_bootstrap: str) -> None:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_SASL_USERNAME": "u",
        "KAFKA_SASL_PASSWORD": WRONG,
    }
    finding = only(await check_kafka(environ), Verdict.BAD)
    assert "SASL" in finding.found
    assert WRONG not in str(finding)


async def test_wrong_postgres_credentials_database_and_rights_are_told_apart(postgres_url: str) -> None:
    connection = await cast(Any, asyncpg).connect(postgres_url.replace("+asyncpg", ""))
    name = postgres_url.rpartition("/")[2]
    try:
        await connection.execute(f"CREATE ROLE {name}_r LOGIN PASSWORD 'right'")
        at = postgres_url.rpartition("@")[2]
        wrong = only(await check_postgres({"DATABASE_URL": f"postgresql://{name}_r:{WRONG}@{at}"}), Verdict.BAD)
        assert "password" in wrong.found
        assert WRONG not in str(wrong)
        absent = only(await check_postgres({"DATABASE_URL": f"{postgres_url}x"}), Verdict.BAD)
        assert "createdb" in absent.mend
        environ = {"DATABASE_URL": f"postgresql://{name}_r:right@{at}"}
        poor = only(await check_postgres(environ), Verdict.BAD)
        statement = re.search(r"-c '(.+)'", poor.mend)
        assert statement is not None
        await connection.execute(statement[1])
        assert not await _bad(check_postgres(environ))
    finally:
        await connection.execute(f"DROP OWNED BY {name}_r")
        await connection.execute(f"DROP ROLE {name}_r")
        await connection.close()


@pytest.mark.parametrize("options", ["ssl=disable", "sslmode=disable", "prepared_statement_cache_size=0"])
async def test_a_postgres_is_asked_as_the_bot_asks_it(postgres_url: str, options: str) -> None:
    """With whatever options an address for SQLAlchemy's asyncpg may hold."""
    assert not await _bad(check_postgres({"DATABASE_URL": f"{postgres_url}?{options}"}))
    assert driver_url(f"{postgres_url}?{options}").query.keys() <= {"ssl", "prepared_statement_cache_size"}


async def test_an_option_postgres_cannot_be_asked_with_is_told(postgres_url: str) -> None:
    finding = only(await check_postgres({"DATABASE_URL": f"{postgres_url}?secret={WRONG}"}), Verdict.BAD)
    assert "option" in finding.found
    assert WRONG not in str(finding)


async def test_clickhouse_is_asked_at_its_own_port_when_the_address_names_none() -> None:
    for scheme, port in (("http", 8123), ("https", 8443)):
        assert f"127.0.0.1:{port}" in str(await check_clickhouse({"CLICKHOUSE_URL": f"{scheme}://127.0.0.1/d"}))


async def test_a_wrong_bot_token_is_named(sandbox: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN[:-1] + "2\n")
    finding = only(
        await check_telegram({"TELEGRAM_BOT_TOKEN_FILE": str(file), "TELEGRAM_API_URL": sandbox}), Verdict.BAD
    )
    assert "401" in finding.found
    assert "@BotFather" in finding.mend
    assert TOKEN[:-1] not in str(finding)


async def test_chats_that_the_bot_cannot_reach_are_named(sandbox: str) -> None:
    environ = {
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_API_URL": sandbox,
        "TELEGRAM_ALERT_CHATS": "prod=1001, main/mail*=-100777/5:silent",
    }
    finding = only(await check_telegram(environ), Verdict.BAD)
    assert finding.check == "Telegram chat -100777"
    assert "chat not found" in finding.found
    nobody = await check_telegram({**environ, "TELEGRAM_ALERT_CHATS": ""})
    assert "TELEGRAM_ADMINS" in only(nobody, Verdict.WARN).mend
    assert "entry 1" in only(await check_telegram({**environ, "TELEGRAM_ALERT_CHATS": "everyone"}), Verdict.BAD).found
    people = {"TELEGRAM_ALERT_CHATS": "1001", "TELEGRAM_ADMINS": "1001, 424242", "BOT_ESCALATE_TO": "-100555/7"}
    told = await check_telegram({**environ, **people})
    assert "424242" in only(told, Verdict.WARN).check, "an admin who never pressed Start hears of nothing"
    assert "BOT_ESCALATE_TO" in only(told, Verdict.BAD).found


@pytest.mark.parametrize(
    ("status", "code", "word"),
    [(403, "516", "password"), (404, "81", "no database"), (403, "497", "GRANT"), (500, "999", "error 999")],
)
async def test_what_clickhouse_refuses_is_told_apart(status: int, code: str, word: str) -> None:
    """A stand-in for the server's HTTP interface: only its error numbers are used."""

    @post("/", sync_to_thread=False)
    def refuse() -> Response[str]:
        return Response("DB::Exception", status_code=status, headers={"X-ClickHouse-Exception-Code": code})

    async with answering(refuse) as at:
        url = f"http://tocsin:{WRONG}@{at.removeprefix('http://')}/tocsin"
        finding = only(await check_clickhouse({"CLICKHOUSE_URL": url}), Verdict.BAD)
    assert word in finding.found + finding.mend
    assert WRONG not in str(finding)


@pytest.mark.parametrize(
    ("user", "has_tables", "verdict", "word"),
    [
        ("of a DBA", True, Verdict.OK, "a DBA brings its tables up to date"),
        ("of a DBA", False, Verdict.WARN, "--print-sql"),
        ("that migrates", False, Verdict.OK, "database tocsin"),
        ("that only reads", True, Verdict.BAD, "GRANT SELECT, INSERT ON tocsin.*"),
    ],
)
async def test_the_least_rights_of_the_docs_are_enough_for_clickhouse(
    user: str, has_tables: bool, verdict: Verdict, word: str
) -> None:
    """A stand-in that answers CHECK GRANT by the GRANTs of docs/clickhouse.md: the embedded engine has no users."""
    least, migrating = (set(rights.split(", ")) for rights in re.findall(r"GRANT (.*) ON tocsin\.\*", CLICKHOUSE_DOC))
    granted = {"of a DBA": least, "that migrates": least | migrating, "that only reads": {"SELECT"}}[user]

    @post("/", status_code=200)
    async def answer(request: Request[Any, Any, Any]) -> str:
        query = (await request.body()).decode()
        if asked := re.fullmatch(r"CHECK GRANT (.*) ON \*", query):
            return str(int(set(asked[1].split(", ")) <= granted))
        return str(int(has_tables)) if "system.tables" in query else "26.9"

    async with answering(answer) as at:
        [finding] = await check_clickhouse({"CLICKHOUSE_URL": f"{at}/tocsin"})
    assert finding.verdict is verdict, finding
    assert word in finding.found + finding.mend


@pytest.mark.parametrize(
    ("chat", "member", "verdict"),
    [
        ({"type": "channel"}, {"status": "member"}, Verdict.BAD),
        ({"type": "channel"}, {"status": "administrator", "can_post_messages": False}, Verdict.BAD),
        ({"type": "channel"}, {"status": "administrator", "can_post_messages": True}, Verdict.OK),
        ({"type": "supergroup", "permissions": {"can_send_messages": False}}, {"status": "member"}, Verdict.BAD),
        ({"type": "supergroup", "permissions": {"can_send_messages": False}}, {"status": "administrator"}, Verdict.OK),
        ({"type": "supergroup"}, {"status": "restricted", "can_send_messages": False}, Verdict.BAD),
        ({"type": "group"}, {"status": "kicked"}, Verdict.BAD),
    ],
)
async def test_a_chat_in_which_the_bot_may_not_write_is_named(
    chat: dict[str, Any], member: dict[str, Any], verdict: Verdict
) -> None:
    """A stand-in for what the sandbox has not: channels, and groups where only some may write."""
    answers: dict[str, Any] = {
        "getMe": {"id": 1, "username": "tocsin_bot"},
        "getWebhookInfo": {"url": ""},
        "getChat": {"title": "Alerts", **chat},
        "getChatMember": member,
    }

    @get(f"/bot{TOKEN}/{{method:str}}", sync_to_thread=False)
    def answer(method: FromPath[str]) -> dict[str, Any]:
        return {"ok": True, "result": answers[method]}

    async with answering(answer) as url:
        environ = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_URL": url, "TELEGRAM_ALERT_CHATS": "-100777"}
        [found] = [one for one in await check_telegram(environ) if one.check == "Telegram chat -100777"]
    assert found.verdict is verdict, found


@pytest.mark.parametrize(
    ("status", "body", "verdict", "words"),
    [
        (200, '{"items": []}', Verdict.OK, "Tocsin answers"),
        (401, '{"detail": "please log in"}', Verdict.OK, "Tocsin answers"),
        (401, "<h1>401 Unauthorized</h1>", Verdict.OK, "asks for a password"),
        (403, '{"detail": "not served under this name"}', Verdict.WARN, "refuses to be called that"),
        (403, "<h1>Forbidden</h1>", Verdict.WARN, "not as Tocsin does"),
        (302, "", Verdict.OK, "log in elsewhere (sso.example.com)"),
        (503, "", Verdict.WARN, "no logsvc behind it"),
        (404, "<h1>Welcome to nginx</h1>", Verdict.WARN, "not as Tocsin does"),
        (200, "<h1>It works</h1>", Verdict.WARN, "not as Tocsin does"),
    ],
)
async def test_what_answers_at_the_public_address_is_told(status: int, body: str, verdict: Verdict, words: str) -> None:
    @get("/tocsin/api/v1/queues", sync_to_thread=False)
    def queues() -> Response[str]:
        told = {"location": "https://sso.example.com/x", "www-authenticate": 'Basic realm="Tocsin"'}
        return Response(body, status_code=status, headers=told)

    async with answering(queues) as url:
        [found] = await check_public_url({"PUBLIC_URL": f"{url}/tocsin/"})
    assert found.verdict is verdict, found
    assert words in found.found
    [nothing] = await check_public_url({"PUBLIC_URL": f"http://127.0.0.1:{free_port()}"})
    assert "nothing answers" in nothing.found


async def test_a_ca_that_signed_nothing_here_is_named_for_clickhouse_and_postgres(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres stands behind a PgBouncer with TLS, a stand-in for ClickHouse behind TLS too."""
    (tmp_path / "other").mkdir()
    certificate, other = make_certificate(tmp_path), make_certificate(tmp_path / "other")

    @post("/", sync_to_thread=False, status_code=200)
    def one() -> str:
        return "1"

    async with (
        running_pgbouncer(tmp_path, postgres_url, certificate) as pooled,
        answering(one) as url,
        tls_before(int(url.rpartition(":")[2]), certificate) as secured,
    ):
        address = f"{pooled}?sslmode=verify-full".replace("127.0.0.1", "localhost")
        monkeypatch.setenv("PGSSLROOTCERT", str(other))
        wrong = only(await check_postgres({"DATABASE_URL": address}), Verdict.BAD)
        assert "is not trusted" in wrong.found
        assert "PGSSLROOTCERT" in wrong.mend
        monkeypatch.setenv("PGSSLROOTCERT", str(certificate))
        assert not await _bad(check_postgres({"DATABASE_URL": address}))

        environ = {"CLICKHOUSE_URL": f"https://localhost:{secured}/tocsin"}
        for ca_file in ("", str(other)):
            wrong = only(await check_clickhouse({**environ, "CLICKHOUSE_CA_FILE": ca_file}), Verdict.BAD)
            assert "is not trusted" in wrong.found
            assert "CLICKHOUSE_CA_FILE" in wrong.mend
        assert not await _bad(check_clickhouse({**environ, "CLICKHOUSE_CA_FILE": str(certificate)}))
        [unread] = await _bad(check_clickhouse({**environ, "CLICKHOUSE_CA_FILE": str(tmp_path / "absent")}))
        assert "CLICKHOUSE_CA_FILE" in unread.found


async def test_who_logs_in_is_no_part_of_a_printed_address() -> None:
    at = f"127.0.0.1:{free_port()}"
    consul = await check_consul({"CONSUL_HTTP_ADDR": f"http://ann:{WRONG}@{at}"})
    telegram = await check_telegram({"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_URL": f"http://ann:{WRONG}@{at}"})
    for findings in (consul, telegram):
        assert at in str(findings)
        assert WRONG not in str(findings)


async def test_a_place_for_the_embedded_clickhouse_must_be_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert (
        "written" in only(await check_clickhouse({"CLICKHOUSE_URL": f"chdb://{tmp_path}/file/db"}), Verdict.BAD).found
    )


async def test_servers_that_are_down_or_hang_are_each_named_and_waited_for_no_longer_than_the_deadlines() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(hang) as hanging:
        for port in (free_port(), hanging):
            at = f"127.0.0.1:{port}"
            started = time.monotonic()
            findings = await examine(
                {
                    "REDIS_URL": f"redis://:{WRONG}@{at}",
                    "KAFKA_BOOTSTRAP_SERVERS": at,
                    "DATABASE_URL": f"postgresql://u:{WRONG}@{at}/d",
                    "CLICKHOUSE_URL": f"http://u:{WRONG}@{at}/d",
                    "CONSUL_HTTP_ADDR": at,
                    "CONSUL_HTTP_TOKEN": WRONG,
                    "TELEGRAM_BOT_TOKEN": TOKEN,
                    "TELEGRAM_API_URL": f"http://{at}",
                }
            )
            assert time.monotonic() - started < 3 * DEADLINE_SECONDS, "all at once, and with time for a busy machine"
            wrong = {finding.check for finding in findings if finding.verdict in (Verdict.BAD, Verdict.WARN)}
            assert wrong >= {"Redis main", "Kafka", "Postgres", "ClickHouse", "Consul", "Telegram"}
            assert all(finding.mend for finding in findings if finding.check in wrong)
            assert WRONG not in str(findings)
            assert TOKEN not in str(findings)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_seconds: float) -> None:
    while chunk := await reader.read(65536):
        await asyncio.sleep(delay_seconds)
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()


@contextlib.asynccontextmanager
async def answering(handler: Any) -> AsyncGenerator[str]:
    """The address of a server that has this one route."""
    port, stop = free_port(), asyncio.Event()
    app = Litestar([handler], openapi_config=None, logging_config=None)
    task = asyncio.create_task(serve_http(app, "127.0.0.1", port, stop, drain_seconds=1))
    try:
        await eventually(lambda: not is_free(port), what="the server")
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        await task


def _may_not(path: Path, mode: int) -> bool:
    return False


async def _bad(check: Any) -> list[Finding]:
    return [finding for finding in await check if finding.verdict is Verdict.BAD]


def _topic_of(mend: str) -> NewTopic:
    """What the printed kafka-topics.sh command would create."""
    words = mend.split("   ")[0].split()
    options = {word: words[at + 1] for at, word in enumerate(words) if word.startswith("--") and at + 1 < len(words)}
    configs = dict(words[at + 1].split("=", 1) for at, word in enumerate(words) if word == "--config")
    return NewTopic(
        options["--topic"], int(options["--partitions"]), int(options["--replication-factor"]), topic_configs=configs
    )


async def _create(bootstrap: str, topics: list[NewTopic]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics(topics)
        wanted = {str(topic.name) for topic in topics}

        async def there() -> bool:
            return wanted <= set(await admin.list_topics())

        await eventually(there)
    finally:
        await admin.close()


async def test_the_command_says_what_mends_a_problem_and_ends_with_1(redis_url: str) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "REDIS_URL": redis_url,
    }
    doctor = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tocsin.cli", "doctor", "bridge"), env=environ, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(doctor.communicate(), 60)
    assert doctor.returncode == 1
    assert b"BAD   Kafka " in output
    assert re.search(rb"BAD   Kafka .*\n +-> \S", output), "a problem without its mend"
    assert b"1 problem, " in output
