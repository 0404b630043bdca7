"""The bot as a process of its own, with a real Kafka, a real Postgres and the Telegram sandbox around it."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from sqlalchemy.ext.asyncio import AsyncSession

from bot.store.database import open_engine
from bot.store.migrate import migrate
from bot.store.milestones import BORN, reach
from tests.eventually import READY_SECONDS, eventually
from tests.output import written
from tests.ports import free_port
from tests.stalls import stalls
from tocsin.events import VERSION, JobEvent, QueueSnapshot, SchedulerSnapshot, SourceSnapshot, State, encode
from tocsin.topics import Topics, partition_of, queue_key

PARTITIONS = 4
CHAT = 1001
TOKEN = "1234567:" + "t" * 35
ROOT = Path(__file__).parents[3]


class Child:
    """A Python process whose output is kept in a file."""

    def __init__(self, log: Path, *argv: str, environ: Mapping[str, str] | None = None) -> None:
        self._log, self._argv, self.environ = log, argv, environ or {}
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        base = {name: value for name, value in os.environ.items() if not name.startswith(("TELEGRAM_", "KAFKA_"))}
        with self._log.open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, *self._argv, cwd=ROOT, env={**base, **self.environ}, stdout=out, stderr=out
            )

    async def run(self) -> tuple[int, str, str]:
        """Run it to its end; return exit status, stdout and stderr."""
        base = {name: value for name, value in os.environ.items() if not name.startswith(("TELEGRAM_", "KAFKA_"))}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._argv,
            cwd=ROOT,
            env={**base, **self.environ},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), READY_SECONDS)
        return process.returncode or 0, out.decode(), err.decode()

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM; return the exit status."""
        if self.process is None:
            return 0
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), READY_SECONDS)

    def output(self) -> str:
        return written(self._log)

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The lines of its log about one kind of event, in order."""
        mark = json.dumps(event)
        return [
            one for line in self.output().splitlines() if mark in line and (one := json.loads(line))["event"] == event
        ]


class House:
    """Start what a test needs; write to Kafka as the bridge would; look at the chat as a person would."""

    def __init__(self, kafka: str, prefix: str, postgres: str, folder: Path) -> None:
        self.kafka, self.topics, self.postgres, self.folder = kafka, Topics(prefix), postgres, folder
        self.sandbox_port = free_port()
        self.sandbox = Child(
            folder / "sandbox.log",
            *("-m", "tocsin.sandbox", "--port", str(self.sandbox_port), "--data", str(folder / "sandbox")),
            *("--private-limit", "off", "--group-limit", "off", "--overall-limit", "off"),
        )
        self.environ = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "KAFKA_TOPIC_PREFIX": prefix,
            "DATABASE_URL": postgres,
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_URL": f"http://127.0.0.1:{self.sandbox_port}",
            "TELEGRAM_ALERT_CHATS": str(CHAT),
            "TELEGRAM_ADMINS": str(CHAT),
            "LOGSVC_URL": f"http://127.0.0.1:{free_port()}",
            "BOT_EDIT_SECONDS": "0.2",
            "BOT_STORM_INCIDENTS": "1000",
            "LOG_FORMAT": "json",
            "LOG_TO_KAFKA": "false",
        }
        self.bots: list[Child] = []
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.sandbox_port}", timeout=READY_SECONDS)
        self._producer: AIOKafkaProducer | None = None

    async def open(self) -> None:
        """Topics, a producer, the sandbox."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            await admin.create_topics(
                [
                    NewTopic(self.topics.jobs, PARTITIONS, 1),
                    NewTopic(self.topics.queues, PARTITIONS, 1, topic_configs={"cleanup.policy": "compact"}),
                    NewTopic(self.topics.schedulers, PARTITIONS, 1, topic_configs={"cleanup.policy": "compact"}),
                    NewTopic(self.topics.sources, 1, 1, topic_configs={"cleanup.policy": "compact"}),
                    NewTopic(self.topics.probes, 1, 1),
                ]
            )
        finally:
            await admin.close()
        self._producer = AIOKafkaProducer(bootstrap_servers=self.kafka)
        await self._producer.start()
        await self.start_sandbox()

    async def close(self) -> None:
        """Stop everything this house started."""
        for bot in self.bots:
            if bot.is_running:
                await bot.kill()
        await self.sandbox.kill()
        if self._producer is not None:
            await self._producer.stop()
        await self.client.aclose()

    async def start_sandbox(self) -> None:
        await self.sandbox.start()
        await eventually(self._sandbox_answers, what="the sandbox")

    async def _sandbox_answers(self) -> bool:
        try:
            return (await self.client.get("/sandbox/chats")).status_code == 200
        except httpx.HTTPError:
            return False

    async def start_bot(self, *argv: str, wait: bool = True, **environ: str) -> Child:
        """Start a bot; settings given here win. wait: until it is ready."""
        port = free_port()
        child = Child(
            self.folder / f"bot{len(self.bots)}.log",
            *(argv or ("-m", "bot")),
            environ={**self.environ, "BOT_PORT": str(port), **environ},
        )
        self.bots.append(child)
        await child.start()
        if wait:
            await eventually(lambda: self._ready(port, child), what="the bot's readiness")
        return child

    async def _ready(self, port: int, child: Child) -> bool:
        assert child.is_running, child.output()[-3000:]
        try:
            async with httpx.AsyncClient(timeout=READY_SECONDS) as client:
                return (await client.get(f"http://127.0.0.1:{port}/health/ready")).status_code == 200
        except httpx.HTTPError:
            return False

    async def put_row(self, topic: str, key: str, row: SchedulerSnapshot | SourceSnapshot | None) -> None:
        """Write a row of a table as the bridge would; None = a tombstone."""
        assert self._producer is not None
        await self._producer.send_and_wait(topic, encode(row) if row else None, key=key.encode(), partition=0)

    async def put(self, *records: JobEvent | QueueSnapshot) -> None:
        """Write records where the bridge would put them."""
        assert self._producer is not None
        for record in records:
            topic = self.topics.jobs if isinstance(record, JobEvent) else self.topics.queues
            await self._producer.send_and_wait(
                topic,
                encode(record),
                key=queue_key(record.source, record.queue).encode(),
                partition=partition_of(record.source, record.queue, PARTITIONS),
            )

    @asynccontextmanager
    async def transaction(self, *, commit: bool = True) -> AsyncGenerator[Callable[[JobEvent], Awaitable[None]]]:
        """Write job events in one Kafka transaction, as the bridge does."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.kafka, transactional_id=f"{self.topics.prefix}t{next(_serial)}"
        )
        await producer.start()

        async def put(record: JobEvent) -> None:
            partition = partition_of(record.source, record.queue, PARTITIONS)
            await producer.send_and_wait(self.topics.jobs, encode(record), partition=partition)

        try:
            await producer.begin_transaction()
            yield put
            await (producer.commit_transaction() if commit else producer.abort_transaction())
        finally:
            await producer.stop()

    async def begin_long_ago(self) -> None:
        """Let the first start have been a day ago, so that what is an hour old is not the past. Before any start."""
        engine = open_engine(self.postgres)
        await migrate(engine)
        async with AsyncSession(engine) as session, session.begin():
            await reach(session, BORN, int((time.time() - 86_400) * 1000))
        await engine.dispose()

    async def put_bytes(self, topic: str, value: bytes, partition: int = 0) -> None:
        """Write anything."""
        assert self._producer is not None
        await self._producer.send_and_wait(topic, value, partition=partition)

    async def messages(self, chat: int = CHAT) -> list[dict[str, Any]]:
        """The bot's messages in a chat, edits applied, the oldest first."""
        answer = await self.client.get(f"/sandbox/chats/{chat}/messages")
        if answer.status_code == 404:
            return []
        items: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
        return [item for item in items if item.get("from", {}).get("is_bot")]

    async def texts(self, chat: int = CHAT) -> list[str]:
        return [str(item.get("text", "")) for item in await self.messages(chat)]

    async def alerts(self, chat: int = CHAT) -> list[str]:
        """Incident messages only."""
        return [text for text in await self.texts(chat) if text.startswith(("🔴 prod", "✅ prod"))]

    async def has_text(self, part: str, chat: int = CHAT) -> bool:
        return any(part in text for text in await self.texts(chat))

    async def say(self, text: str, chat: int = CHAT, user: int = CHAT, **more: Any) -> int:
        """Write as a person; return the message's id."""
        answer = await self.client.post(
            "/sandbox/messages", json={"chat_id": chat, "user_id": user, "text": text, **more}
        )
        return answer.raise_for_status().json()["message"]["message_id"]

    async def ask(self, text: str, *, expect: str, **more: Any) -> tuple[str, float]:
        """Say something and wait for a new message that holds `expect`; return it, and how long the bot was about it.

        How long: by the bot's own log, from hearing it to the call that answers it. Neither the way there nor what
        this machine lets everybody wait is in it.
        """
        before = {item["message_id"] for item in await self.messages()}
        said = await self.say(text, **more)
        found: list[dict[str, Any]] = []

        async def answered() -> bool:
            new = (item for item in await self.messages() if item["message_id"] not in before)
            found[:] = [item for item in new if expect in str(item.get("text", item.get("caption", "")))]
            return bool(found)

        async with stalls() as stalled:
            await eventually(answered, what=f"an answer to {text!r} with {expect!r}")
            late = stalled()
        took = [one["seconds"] for bot in self.bots for one in bot.lines("answering") if one["to"] == said]
        return str(found[0].get("text", found[0].get("caption", ""))), max(0.0, took[-1] - late)

    async def press(self, message: Mapping[str, Any], label: str, user: int = CHAT) -> dict[str, Any]:
        """Press a button by its label; return what the bot answered the press with."""
        keys = [key for row in message["reply_markup"]["inline_keyboard"] for key in row]
        data = next(key["callback_data"] for key in keys if key["text"] == label)
        return await self.press_data(message, data, user)

    async def press_data(self, message: Mapping[str, Any], data: str, user: int = CHAT) -> dict[str, Any]:
        """Press a button that says this, whether the message has it or not."""
        body = {
            "chat_id": message["chat"]["id"],
            "user_id": user,
            "message_id": message["message_id"],
            "data": data,
            "is_stale": True,
            "wait_seconds": 60,
        }
        return (await self.client.post("/sandbox/callbacks", json=body)).raise_for_status().json()

    async def message(self, part: str, chat: int = CHAT, *, what: str = "text") -> dict[str, Any]:
        """The newest message of the bot that holds this text, once there is one; what: or the caption of a picture."""
        found: list[dict[str, Any]] = []

        async def is_there() -> bool:
            found[:] = [one for one in await self.messages(chat) if part in one.get(what, "")]
            return bool(found)

        await eventually(is_there, what=f"a message with {part!r}")
        return found[-1]

    async def without_text(self, part: str, chat: int = CHAT) -> None:
        """Wait until no message holds this text any more."""

        async def is_gone() -> bool:
            return not await self.has_text(part, chat)

        await eventually(is_gone, what=f"the end of {part!r}")

    async def fault(self, **fault: Any) -> None:
        """Script a fault of Telegram."""
        (await self.client.post("/sandbox/faults", json=fault)).raise_for_status()

    async def calls(self, method: str) -> list[dict[str, Any]]:
        """What the bot asked of Telegram."""
        answer = await self.client.get("/sandbox/calls", params={"method": method})
        return list(answer.raise_for_status().json()["items"])


_serial = iter(range(1, 1_000_000_000))


def failure(queue: str = "orders", *, fingerprint: str = "f1", age_seconds: float = 0, **more: Any) -> JobEvent:
    """A job that failed for good."""
    number = next(_serial)
    stream_id = f"{number}-0"
    values: dict[str, Any] = {
        "v": VERSION,
        "id": f"main:{queue}:0:{stream_id}",
        "ts": int((time.time() - age_seconds) * 1000),
        "env": "prod",
        "source": "main",
        "queue": queue,
        "epoch": 0,
        "stream_id": stream_id,
        "event": "failed",
        "state": State.FAILED,
        "job_id": str(number),
        "job_name": "charge",
        "attempt": 3,
        "max_attempts": 3,
        "error": f"card declined {number}",
        "error_type": "CardError",
        "stack": ["at charge (/app/charge.js:1:1)"],
        "fingerprint": fingerprint,
    }
    return JobEvent(**{**values, **more})


def snapshot(queue: str = "orders", *, age_seconds: float = 0, **more: Any) -> QueueSnapshot:
    """A queue's counts."""
    values: dict[str, Any] = {
        "v": VERSION,
        "ts": int((time.time() - age_seconds) * 1000),
        "env": "prod",
        "source": "main",
        "queue": queue,
        "workers": 2,
        "sources_queues": 1,
    }
    return QueueSnapshot(**{**values, **more})
