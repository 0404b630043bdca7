"""Wiring: what logsvc is made of, joined here and nowhere else."""

import asyncio
import time
from contextlib import AsyncExitStack

import httpx
import structlog
from prometheus_client import CollectorRegistry

from logsvc.api.access import access_routes
from logsvc.api.actions import actions_route
from logsvc.api.backlog import backlog_routes
from logsvc.api.build import build_api
from logsvc.api.deadletters import dead_letter_routes
from logsvc.api.durations import durations_routes
from logsvc.api.errors import errors_routes
from logsvc.api.export import Exports
from logsvc.api.handling import BotIncidents
from logsvc.api.histogram import histogram_routes
from logsvc.api.jobs import jobs_routes
from logsvc.api.journal import Journal
from logsvc.api.logs import logs_routes
from logsvc.api.markers import markers_routes
from logsvc.api.of_bot import bot_routes
from logsvc.api.queues import queues_routes
from logsvc.api.schedulers import schedulers_routes
from logsvc.api.system import changed_word, system_routes
from logsvc.auth.access import Access
from logsvc.auth.door import Door
from logsvc.auth.limits import Attempts
from logsvc.auth.login import Login
from logsvc.auth.logouts import Logouts
from logsvc.bot import BOT, Bot
from logsvc.coverage import HistoryCoverage
from logsvc.deadletters.replay import Replayer
from logsvc.errors import KafkaDown, LogsvcError
from logsvc.front import LIVE, REFRESHES, Front, OnlyRefreshes
from logsvc.ingest.batch import JOURNAL, QUEUE_SNAPSHOTS, feeds
from logsvc.ingest.ingest import Ingest
from logsvc.kafka import DeadLetters, Originals
from logsvc.live.crowd import Crowd
from logsvc.live.hub import Hub
from logsvc.live.origin import Gate
from logsvc.live.past import Archive
from logsvc.live.refresh_feed import RefreshFeed
from logsvc.live.refresh_socket import RefreshSocket
from logsvc.live.ring import Ring
from logsvc.live.sse import LiveEvents
from logsvc.live.tail import Tail
from logsvc.live.watched import Watched
from logsvc.live.websocket import LiveSocket
from logsvc.metrics import Metrics
from logsvc.others import Others
from logsvc.page import Page
from logsvc.schema.migrate import apply
from logsvc.settings import LogsvcSettings
from logsvc.snapshots import Snapshots
from logsvc.store import Store
from logsvc.syslog import Syslog
from tocsin.breakers import Breakers
from tocsin.discovery import Directory
from tocsin.health import RECENT_SECONDS, Health
from tocsin.http import serve_http
from tocsin.lifecycle import Part, pause, supervise
from tocsin.log_topic import LogTopic
from tocsin.topic_admin import until_topics_fit

log = structlog.get_logger("logsvc")

RETRY_SECONDS = 2.0
MOST_MESSAGE_BYTES = 256 * 1024
"""Of a viewer; four bytes a character. A larger one is cut off with 1009 before it is read whole."""


async def run(settings: LogsvcSettings, stop: asyncio.Event, lines: LogTopic | None = None) -> None:
    """Run logsvc until stop is set. Raises TopicsUnfit if the topics must be mended first."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    breakers = Breakers(settings, registry)
    health = Health("kafka", "queues")
    async with AsyncExitStack() as stack:
        store = Store(settings, breakers)
        stack.push_async_callback(store.close)
        breakers.probe_with("clickhouse", store.probe)
        topics = settings.topics
        letters = DeadLetters(settings)
        stack.push_async_callback(letters.close)
        asking = breakers.guard_loops("kafka", errors_that_count=(KafkaDown,), reset_seconds=RETRY_SECONDS)
        ingest = Ingest(settings, feeds(topics), store, letters, metrics, asking)
        hub = Hub(Ring(settings.logsvc_ring_rows, settings.logsvc_ring_mib * 1024 * 1024), metrics)
        tail = Tail(settings, hub, health)
        snapshots = Snapshots(settings, health)
        migrated = asyncio.Event()
        health.degraded = lambda: _degraded(breakers, migrated, ingest, hub)
        journal = Journal(store, lambda: ingest.completeness[JOURNAL].as_of_ms, time.time)
        history = HistoryCoverage(store)
        directory = Directory(settings, registry, breakers)
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        bot = Bot(settings, directory, breakers, client)
        breakers.probe_with(BOT, bot.probe)
        access = Access(bot)
        logouts = Logouts(bot)
        services = Others(directory, breakers, client, ["bridge", *([BOT] if bot.is_configured else [])])
        replayer = Replayer(feeds(topics), store, lambda: Originals(settings), settings.logsvc_retention_days)
        door = Door(settings, access, Attempts())
        if door.is_open:
            log.info("open_on_loopback", why="SESSION_SECRET is not set: whoever is on this machine is an admin")

        async def prepare_topics_then_read() -> None:
            await until_topics_fit(settings, stop, breakers)
            if not stop.is_set():
                await supervise(
                    {
                        "tail": lambda: tail.run(stop),
                        "refreshes": lambda: feed.run(stop),
                        "snapshots": lambda: snapshots.run(stop),
                        "ingest": store_when_ready,
                    },
                    stop,
                    drain_seconds=settings.drain_seconds,
                )

        async def store_when_ready() -> None:
            await _until_migrated(settings, store, stop)
            if not stop.is_set():
                migrated.set()
                metrics.store_up.set_function(lambda: 0.0 if breakers.is_open("clickhouse") else 1.0)
                await ingest.run(stop)

        async def announce() -> None:
            await directory.register("logsvc", settings.logsvc_port)
            await stop.wait()
            health.is_draining = True
            await directory.deregister()

        api = build_api(
            [
                *queues_routes(snapshots, history),
                *jobs_routes(journal),
                *logs_routes(journal, Exports(stop, metrics.exported)),
                *histogram_routes(journal),
                *errors_routes(journal, BotIncidents(bot)),
                *durations_routes(journal),
                *backlog_routes(journal, lambda: ingest.completeness[QUEUE_SNAPSHOTS].as_of_ms),
                *markers_routes(journal, store),
                *schedulers_routes(snapshots, history, journal),
                *system_routes(ingest, hub, snapshots, journal, history, breakers, services),
                *dead_letter_routes(snapshots.letters, replayer, bot),
                *access_routes(door, bot, settings.trace_url_template),
                actions_route(bot),
                *bot_routes(bot),
            ],
            health,
            registry,
            journal.as_of,
        )
        base = _base_path(settings)
        public_url = str(settings.public_url) if settings.public_url else None
        gate = Gate.of(public_url, settings.logsvc_allowed_origins.split(","), settings.logsvc_port)
        archive = Archive(settings)
        crowd = Crowd(settings.logsvc_viewers, settings.logsvc_viewers_per_address)
        feed = RefreshFeed(settings)
        hub.listeners.append(feed.take)
        watched = Watched(feed, bot, lambda: changed_word(ingest, snapshots, breakers, history, services))
        front = Front(
            api,
            Page(base=base),
            {
                LIVE: LiveSocket(hub, archive, gate, crowd, metrics),
                REFRESHES: RefreshSocket(feed, gate, crowd, metrics),
            },
            LiveEvents(hub, archive, gate, crowd, metrics),
            gate,
            door,
            Login(door, access, bot, logouts, base),
            base,
        )
        parts: dict[str, Part] = {
            "kafka": prepare_topics_then_read,
            "hub": lambda: hub.run(stop),
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
            "services": lambda: services.run(stop),
            "watched": lambda: watched.run(stop),
        }
        extra_port = settings.websocket_port
        if extra_port is not None:
            parts["websocket"] = lambda: serve_http(OnlyRefreshes(front), settings.bind_host, extra_port, stop)
        syslog_port = settings.logsvc_syslog_port
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


def _degraded(breakers: Breakers, migrated: asyncio.Event, ingest: Ingest, hub: Hub) -> list[str]:
    """What people miss while it is so: history, what is new, and that it is stored.

    A Kafka that went away leaves history and the last counts: were this not ready then, neither Consul nor Kubernetes
    would lead anybody to the page that says so.
    """
    is_deaf = hub.as_of_ms > 0 and time.time() * 1000 - hub.as_of_ms > RECENT_SECONDS * 1000
    is_unasked = not migrated.is_set() or breakers.is_open("clickhouse")
    found = {"clickhouse": is_unasked, "ingest": ingest.retrying > 0, "kafka": is_deaf}
    return [name for name, is_ill in found.items() if is_ill]


async def _until_migrated(settings: LogsvcSettings, store: Store, stop: asyncio.Event) -> None:
    """Bring ClickHouse's tables up to date, waiting for it as long as it takes."""
    while not stop.is_set():
        try:
            await apply(store, settings.logsvc_retention_days, settings.search_index)
        except LogsvcError as error:
            log.warning("waiting_for_clickhouse", reason=str(error))
            await pause(stop, RETRY_SECONDS)
        else:
            return


def _base_path(settings: LogsvcSettings) -> str:
    path = (settings.public_url.path or "") if settings.public_url else ""
    return f"/{path.strip('/')}/" if path.strip("/") else "/"
