"""`tocsin up`: ready with one command, refused twice on the same data, gone without a trace, back where it was."""

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients import bullmq, redis
from tests.eventually import READY_SECONDS, eventually
from tests.ports import free_port
from tests.servers.sandbox import CHAT, TOKEN, running_sandbox
from tocsin.stack.data import owned
from tocsin.stack.kafka.mock import NOTICE
from tocsin.stack.process import is_alive

# What people's shells hold must not reach these runs, but for where this machine gets its downloads from.
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "JAVA_HOME", "TOCSIN_CACHE_DIR", "XDG_CACHE_HOME", "MAVEN_REPOSITORY_URL")
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if name in _KEPT or name.upper().endswith("_PROXY") or name.startswith(("PIP_", "MAVEN_"))
}
SERVICE_READY = re.compile(r"(bridge|logsvc|bot) +ready on ")


class Run:
    """One `tocsin …` process and what it printed so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip())

    def url(self, label: str) -> str | None:
        """The address printed after label; None before it was printed."""
        found = re.search(rf"{label}\s+(http://\S+)", "\n".join(self.lines))
        return found[1] if found else None

    async def ready(self) -> None:
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        while "Tocsin is ready." not in self.lines and self.process.returncode is None:
            assert asyncio.get_running_loop().time() < deadline, "not ready in time:\n" + "\n".join(self.lines)
            await asyncio.sleep(0.1)
        assert self.process.returncode is None, "\n".join(self.lines)

    async def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal, wait, and return the exit status."""
        self.process.send_signal(number)
        async with asyncio.timeout(READY_SECONDS):
            await self.process.wait()
            await self._reading
        assert self.process.returncode is not None
        return self.process.returncode

    async def finished(self) -> tuple[int, str]:
        """Wait for an end of its own: exit status and output."""
        async with asyncio.timeout(READY_SECONDS):
            await self.process.wait()
            await self._reading
        assert self.process.returncode is not None
        return self.process.returncode, "\n".join(self.lines)


Tocsin = Callable[..., Awaitable[Run]]


@pytest.fixture
async def tocsin() -> AsyncGenerator[Tocsin]:
    """Start `tocsin` with arguments and extra environment; whatever still runs at the end of the test is killed."""
    runs: list[Run] = []

    async def begin(*arguments: str, **environ: str) -> Run:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tocsin.cli", *arguments),
            env={**CLEAN, **environ},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        runs.append(Run(process))
        return runs[-1]

    yield begin
    for run in runs:
        if run.process.returncode is None:
            run.process.kill()
            await run.finished()


def processes_of(data: Path) -> dict[int, str]:
    """Processes that write their output below data, as every child of `tocsin up` does, and their command lines."""
    found: dict[int, str] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone, or a zombie
            if (process / "fd" / "1").readlink().is_relative_to(data):
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def logs_in(data: Path) -> set[str]:
    """Names of the services' log files; a service has one as soon as it is begun."""
    return {file.name for file in (data / "logs").glob("*.log")}


async def test_a_second_one_on_the_same_data_is_refused(tocsin: Tocsin, tmp_path: Path) -> None:
    with owned(tmp_path):
        run = await tocsin("up", "--demo", "--data", str(tmp_path))
        status, output = await run.finished()
    assert status == 1
    assert f"Tocsin already runs on {tmp_path} (process {os.getpid()})" in output


async def test_without_a_redis_to_watch_it_says_what_to_do(tocsin: Tocsin, tmp_path: Path) -> None:
    status, output = await (await tocsin("up", "--data", str(tmp_path))).finished()
    assert status == 2
    assert "REDIS_URL: required, not set" in output
    assert "make demo" in output
    assert not os.listdir(tmp_path), "nothing was begun"


@pytest.mark.parametrize(
    ("arguments", "environ", "named"),
    [
        (["--port", "99999"], {}, "--port: expected a port"),
        ([], {"LOGSVC_PORT": "abc"}, "LOGSVC_PORT: expected a port"),
        ([], {"SANDBOX_PORT": "70000"}, "SANDBOX_PORT: expected a port"),
        ([], {"BREAKER_FAIL_MAX": "many"}, "BREAKER_FAIL_MAX: expected a whole number"),
    ],
)
async def test_a_wrong_setting_is_told_before_anything_begins(
    tocsin: Tocsin, tmp_path: Path, arguments: list[str], environ: dict[str, str], named: str
) -> None:
    """Nothing could be fetched here either: it would be tried in vain."""
    nowhere = {"TOCSIN_CACHE_DIR": str(tmp_path / "cache"), "MAVEN_REPOSITORY_URL": "http://127.0.0.1:1"}
    run = await tocsin("up", "--demo", "--data", str(tmp_path / "data"), *arguments, **nowhere, **environ)
    status, output = await run.finished()
    assert status == 2
    assert named in output
    assert "Traceback" not in output
    assert "fetching" not in output
    assert not any("ready on" in line for line in run.lines), "no server was begun"


async def test_a_server_of_ones_own_is_looked_at_before_anything_is_fetched(tocsin: Tocsin, tmp_path: Path) -> None:
    nowhere = {"TOCSIN_CACHE_DIR": str(tmp_path / "cache"), "MAVEN_REPOSITORY_URL": "http://127.0.0.1:1"}
    address = f"redis://127.0.0.1:{free_port()}"
    run = await tocsin("up", "--data", str(tmp_path / "data"), REDIS_URL=address, **nowhere)
    status, output = await run.finished()
    assert status == 2
    assert re.search(r"^BAD   Redis main .*no Redis answers", output, re.MULTILINE)
    assert "fetching" not in output
    assert not any("ready on" in line for line in run.lines), "no server was begun"


@pytest.mark.parametrize("is_impatient", [False, True])
async def test_ctrl_c_during_the_first_download_leaves_nothing_running(
    tocsin: Tocsin, tmp_path: Path, is_impatient: bool
) -> None:
    """Maven, which would take for ever, is a child that ends with `up`, asked once or twice."""
    pid = tmp_path / "pid"
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "mvn").write_text(f"#!/bin/sh\necho $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 600\n")
    (programs / "mvn").chmod(0o755)
    run = await tocsin(
        *("up", "--demo", "--data", str(tmp_path / "data")),
        PATH=f"{programs}:{os.environ['PATH']}",
        TOCSIN_CACHE_DIR=str(tmp_path / "cache"),
    )
    await eventually(pid.exists, what="the start of Maven")
    if is_impatient:
        run.process.send_signal(signal.SIGINT)
    assert await run.end() in ((0, 130) if is_impatient else (0,))
    await eventually(lambda: not is_alive(int(pid.read_text())), what="the end of Maven")
    assert not any("Maven client" in line for line in run.lines), "the next way was not tried"


async def it_works(run: Run) -> None:
    """Both pages answer; queues are listed, events stored, and the bot has spoken."""
    page, chat = run.url("live page"), run.url("Telegram chat")
    assert page
    assert chat
    api = page.removesuffix("/logs") + "/api/v1"
    async with httpx.AsyncClient(trust_env=False, timeout=READY_SECONDS) as client:
        assert (await client.get(page)).is_success
        assert (await client.get(chat)).is_success

        async def queues_are_listed() -> bool:
            return len((await client.get(f"{api}/queues")).json()["items"]) >= 6

        async def events_are_stored() -> bool:
            answer = await client.get(f"{api}/logs")  # refused until the tables are there
            return answer.is_success and len(answer.json()["items"]) > 0

        async def the_bot_spoke() -> bool:
            return len((await client.get(f"{chat}sandbox/chats/1001/messages")).json()["items"]) > 0

        await eventually(queues_are_listed, what="six queues")
        await eventually(events_are_stored, what="a stored event")
        await eventually(the_bot_spoke, what="a message in the chat")


async def history(page: str, **parameters: str) -> list[dict[str, Any]]:
    """The newest stored lines, within times if given."""
    async with httpx.AsyncClient(trust_env=False, timeout=READY_SECONDS) as client:
        answer = await client.get(f"{page.removesuffix('/logs')}/api/v1/logs", params=parameters)
        return answer.raise_for_status().json()["items"]


async def greetings(run: Run) -> int:
    """How many there are in the demo's chat."""
    async with httpx.AsyncClient(trust_env=False, timeout=READY_SECONDS) as client:
        answer = await client.get(f"{run.url('Telegram chat')}sandbox/chats/1001/messages")
        told = [message.get("text", "") for message in answer.raise_for_status().json()["items"]]
    return sum(text.startswith(("🟢 Watching", "🟠 Watching")) for text in told)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_on_ones_own_queues_the_doctor_comes_first_and_everything_works(
    tocsin: Tocsin, data: Path, redis_url: str, kafka_bootstrap: str, topic_prefix: str
) -> None:
    """Redis, Kafka and Telegram are given; Postgres and ClickHouse are its own."""
    queue = bullmq.Queue("emails", {"connection": redis_url})
    await queue.add("welcome", {"to": "a@example.com"})
    await queue.close()
    async with running_sandbox() as telegram:
        given = {
            "REDIS_URL": redis_url,
            "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
            "KAFKA_TOPIC_PREFIX": topic_prefix,
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_URL": telegram.url,
            "TELEGRAM_ADMINS": str(CHAT),
        }
        run = await tocsin("up", "--data", str(data), **given)
        await run.ready()
        (summary,) = [at for at, line in enumerate(run.lines) if line.startswith("no problems, ")]
        assert any(line.startswith("ok    Redis main queues") for line in run.lines[:summary])
        first_service = next(at for at, line in enumerate(run.lines) if SERVICE_READY.match(line))
        assert summary < first_service < run.lines.index("Tocsin is ready.")
        assert not any("not found in cluster metadata" in line for line in run.lines)

        assert {"bridge.log", "logsvc.log", "bot.log"} <= logs_in(data)

        page = run.url("live page")
        assert page
        async with httpx.AsyncClient(trust_env=False, timeout=READY_SECONDS) as client:
            for address in (page, telegram.url):
                assert (await client.get(address)).is_success

            async def the_queue_is_listed() -> bool:
                found = (await client.get(f"{page.removesuffix('/logs')}/api/v1/queues")).json()["items"]
                return [item["queue"] for item in found] == ["emails"]

            await eventually(the_queue_is_listed, what="the queue")
        await telegram.say("/queues")

        async def the_bot_answers() -> bool:
            return any("emails" in message.get("text", "") for message in await telegram.messages())

        await eventually(the_bot_answers, what="the bot's answer")
        linked = await tocsin("login-link", "ann", "--data", str(data), **given)
        status, said = await linked.finished()
        assert status == 0, said
        assert f"{page.removesuffix('/logs')}/login?ticket=" in said, "by the Postgres that runs here"
        assert await run.end() == 0
    assert not processes_of(data), "nothing is left running"


async def test_what_the_doctor_finds_stops_it_before_any_service(
    tocsin: Tocsin, data: Path, redis_url: str, kafka_bootstrap: str, topic_prefix: str, postgres_url: str
) -> None:
    async with redis.Redis.from_url(redis_url) as client:
        await client.config_set("requirepass", "the-right-one")
    async with running_sandbox() as telegram:
        run = await tocsin(
            *("up", "--data", str(data)),
            REDIS_URL=redis_url.replace("redis://", "redis://:the-wrong-one@"),
            KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap,
            KAFKA_TOPIC_PREFIX=topic_prefix,
            DATABASE_URL=postgres_url,
            TELEGRAM_BOT_TOKEN=TOKEN,
            TELEGRAM_API_URL=telegram.url,
            TELEGRAM_ADMINS=str(CHAT),
        )
        status, output = await run.finished()
    assert status == 2
    assert re.search(r"^BAD   Redis main .*refused the user or password of REDIS_URL$", output, re.MULTILINE)
    assert re.search(r"^1 problem, ", output, re.MULTILINE)
    assert "the-wrong-one" not in output
    assert not any(SERVICE_READY.match(line) for line in run.lines)
    assert logs_in(data) == set(), "no service was begun"
    assert not processes_of(data)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_the_demo_comes_up_goes_down_and_comes_back(tocsin: Tocsin, data: Path) -> None:
    of_production = {
        "REDIS_URL": "redis://never.example:6379",
        "KAFKA_BOOTSTRAP_SERVERS": "never.example:9092",
        "KAFKA_TOPICS_CREATE": "check",
        "DATABASE_URL": "postgresql://never.example/tocsin",
        "CLICKHOUSE_URL": "http://never.example:8123",
        "BRIDGE_SITE": "production",
    }
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        taken = somebody.getsockname()[1]
        first = await tocsin("up", "--demo", "--data", str(data), "--port", str(taken), **of_production)
        await first.ready()
    (told,) = [line for line in first.lines if "not used by the demo" in line]
    assert all(name in told for name in of_production)
    await it_works(first)

    async def greeted() -> bool:
        return await greetings(first) == 1

    await eventually(greeted, what="the greeting")
    page = first.url("live page")
    assert page is not None
    assert f":{taken}/" not in page, "a port that is taken is left to its owner"
    assert any(line.startswith("LOGSVC_PORT: ") and f"instead of {taken}," in line for line in first.lines)
    lines = await history(page)
    last, later = lines[-1], next(line["ts"] for line in reversed(lines) if line["ts"] > lines[-1]["ts"])
    assert await first.end() == 0
    assert not processes_of(data), "nothing is left running"

    second = await tocsin("up", "--demo", "--data", str(data), "--port", str(taken))
    await second.ready()
    assert second.url("live page") == page, "addresses survive a restart"
    await it_works(second)
    assert last in await history(page, **{"from": last["ts"], "to": later}), "history survives a restart"
    assert await greetings(second) == 1, "one greeting, ever"
    second.process.kill()
    await second.finished()
    await eventually(lambda: not processes_of(data), what="the end of every child of a killed `up`")


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_without_java_the_demo_works_on_the_stand_in_and_outlives_its_death(tocsin: Tocsin, data: Path) -> None:
    run = await tocsin("up", "--demo", "--data", str(data), TOCSIN_JAVA="/nowhere/java")
    await run.ready()
    assert NOTICE in run.lines
    await it_works(run)
    (stand_in,) = [pid for pid, line in processes_of(data).items() if "tocsin.stack.kafka.mock" in line]
    run.lines.clear()
    os.kill(stand_in, signal.SIGKILL)
    await run.ready()
    assert any("starting everything again with fresh data" in line for line in run.lines)
    await it_works(run)
    assert await run.end() == 0
    assert not processes_of(data), "nothing is left running"
