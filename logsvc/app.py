"""logsvc on one page: what is opened, what it is made of, what runs."""

import asyncio
import time
from contextlib import AsyncExitStack

import httpx
import structlog
from prometheus_client import CollectorRegistry

from logsvc.api.build import build_api
from logsvc.api.export import Exports
from logsvc.api.journal import Journal
from logsvc.api.routes import all_routes
from logsvc.api.system import changed_word
from logsvc.auth.access import Access
from logsvc.auth.door import Door
from logsvc.auth.limits import Attempts
from logsvc.auth.login import Login
from logsvc.auth.logouts import Logouts
from logsvc.bot import BOT, Bot
from logsvc.coverage import HistoryCoverage
from logsvc.deadletters.replay import Replayer
from logsvc.errors import KafkaDown
from logsvc.front import LIVE, REFRESHES, Front, OnlyRefreshes
from logsvc.ingest.batch import JOURNAL, feeds
from logsvc.ingest.ingest import Ingest
from logsvc.kafka import DeadLetters, Originals
from logsvc.live.build import build_live
from logsvc.live.watched import Watched
from logsvc.metrics import Metrics
from logsvc.neighbours import Neighbours
from logsvc.page import Page
from logsvc.readiness import degraded
from logsvc.schema.migrate import apply_in_time
from logsvc.settings import LogsvcSettings
from logsvc.snapshots import Snapshots
from logsvc.store import Store
from logsvc.syslog import Syslog
from tocsin.breakers import Breakers
from tocsin.discovery import Directory
from tocsin.health import Health
from tocsin.http import serve_http
from tocsin.lifecycle import Part, supervise
from tocsin.log_topic import LogTopic
from tocsin.topic_admin import until_topics_fit

log = structlog.get_logger("logsvc")

KAFKA_RESET_SECONDS = 2.0
MOST_MESSAGE_BYTES = 256 * 1024
"""Of a viewer; four bytes a character. A larger one is cut off with 1009 before it is read whole."""


async def run(settings: LogsvcSettings, stop: asyncio.Event, lines: LogTopic | None = None) -> None:
    """Run logsvc until stop is set. Raises TopicsUnfit if the topics must be mended first."""
    registry = CollectorRegistry()
    metrics, breakers, health = Metrics(registry), Breakers(settings, registry), Health("kafka", "queues")
    async with AsyncExitStack() as stack:
        # The doors.
        store, letters = Store(settings, breakers), DeadLetters(settings)
        stack.push_async_callback(store.close)
        stack.push_async_callback(letters.close)
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        directory = Directory(settings, registry, breakers)
        bot = Bot(settings, directory, breakers, client)
        breakers.probe_with("clickhouse", store.probe)
        breakers.probe_with(BOT, bot.probe)

        # What comes from Kafka: into ClickHouse, to viewers, and as it is now.
        of_topics = feeds(settings.topics)
        asking = breakers.guard_loops("kafka", errors_that_count=(KafkaDown,), reset_seconds=KAFKA_RESET_SECONDS)
        ingest = Ingest(settings, of_topics, store, letters, metrics, asking)
        live = build_live(settings, metrics, health)
        snapshots = Snapshots(settings, health)
        migrated = asyncio.Event()
        health.degraded = lambda: degraded(breakers, migrated.is_set, ingest, live.hub)

        # What is asked of it.
        journal = Journal(store, lambda: ingest.completeness[JOURNAL].as_of_ms, time.time)
        history = HistoryCoverage(store)
        neighbours = Neighbours(directory, breakers, client, ["bridge", *([BOT] if bot.is_configured else [])])
        watched = Watched(live.feed, bot, lambda: changed_word(ingest, snapshots, breakers, history, neighbours))
        access, logouts = Access(bot), Logouts(bot)
        door = Door(settings, access, Attempts())
        if door.is_open:
            log.info("open_on_loopback", why="SESSION_SECRET is not set: whoever is on this machine is an admin")
        routes = all_routes(
            journal=journal,
            store=store,
            history=history,
            ingest=ingest,
            snapshots=snapshots,
            hub=live.hub,
            exports=Exports(stop, metrics.exported),
            replayer=Replayer(of_topics, store, lambda: Originals(settings), settings.logsvc_retention_days),
            bot=bot,
            door=door,
            neighbours=neighbours,
            breakers=breakers,
            trace_url_template=settings.trace_url_template,
        )
        base = settings.base_path
        front = Front(
            build_api(routes, health, registry, journal.as_of),
            Page(base=base),
            {LIVE: live.socket, REFRESHES: live.refreshes},
            live.events,
            live.gate,
            door,
            Login(door, access, bot, logouts, base),
            base,
        )

        async def prepare_topics_then_read() -> None:
            await until_topics_fit(settings, stop, breakers)
            if not stop.is_set():
                await supervise(reading, stop, drain_seconds=settings.drain_seconds)

        async def store_when_ready() -> None:
            await apply_in_time(store, settings, stop)
            if not stop.is_set():
                migrated.set()
                metrics.store_up.set_function(lambda: 0.0 if breakers.is_open("clickhouse") else 1.0)
                await ingest.run(stop)

        async def announce() -> None:
            await directory.register("logsvc", settings.logsvc_port)
            await directory.leave(health, stop)

        reading: dict[str, Part] = {
            "tail": lambda: live.tail.run(stop),
            "refreshes": lambda: live.feed.run(stop),
            "snapshots": lambda: snapshots.run(stop),
            "ingest": store_when_ready,
        }
        parts: dict[str, Part] = {
            "kafka": prepare_topics_then_read,
            "hub": lambda: live.hub.run(stop),
            "coverage": lambda: history.run(stop),
            "http": lambda: serve_http(
                front,
                settings.bind_host,
                settings.logsvc_port,
                stop,
                deflate=settings.logsvc_live_deflate,
                most_message_bytes=MOST_MESSAGE_BYTES,
            ),
            "breakers": lambda: breakers.run_probes(stop),
            "announce": announce,
            "access": lambda: access.follow(stop),
            "arrivals": lambda: door.arrivals.follow(bot, stop),
            "logouts": lambda: logouts.follow(stop),
            "consul": lambda: directory.watch(stop),
            "neighbours": lambda: neighbours.run(stop),
            "watched": lambda: watched.run(stop),
        }
        extra_port, syslog_port = settings.websocket_port, settings.logsvc_syslog_port
        if extra_port is not None:
            parts["websocket"] = lambda: serve_http(OnlyRefreshes(front), settings.bind_host, extra_port, stop)
        if syslog_port is not None:
            others = LogTopic(settings, counted_as="logsvc_syslog")
            syslog = Syslog(settings.bind_host, syslog_port, others)
            parts["syslog"] = lambda: syslog.run(stop)
            parts["syslog to kafka"] = lambda: others.run(stop, registry)
        if lines is not None:
            parts["own logs"] = lambda: lines.run(stop, registry)
        late = await supervise(parts, stop, drain_seconds=settings.drain_seconds)
        if late:
            log.warning("drained_late", parts=late)
