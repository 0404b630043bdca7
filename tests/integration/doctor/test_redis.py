"""The doctor on real Redises, each broken on purpose: named, with the mend, and without any secret."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.doctor.findings import WRONG, bad, only
from tests.ports import free_port
from tests.tcp import close, listening
from tocsin.doctor import Verdict
from tocsin.doctor.clock import check_clock
from tocsin.doctor.redis import check_redis
from tocsin.doctor.report import render


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
    assert not await bad(check_redis({"REDIS_URL": f"redis://:the-right-one@127.0.0.1:{port}"}))


async def test_missing_redis_rights_are_named_and_the_mends_mend_them(redis: Any, redis_url: str) -> None:
    await redis.execute_command("ACL", "SETUSER", "watcher", "on", ">secret", "-@all", "+ping", "+hello")
    environ = {"REDIS_URL": redis_url.replace("redis://", "redis://watcher:secret@")}
    rounds = 0
    while findings := await bad(check_redis(environ)):
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


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_seconds: float) -> None:
    while chunk := await reader.read(65536):
        await asyncio.sleep(delay_seconds)
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()
