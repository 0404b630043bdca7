"""Wire the bot together and run its parts until it is told to stop."""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack

import httpx
import structlog
from prometheus_client import CollectorRegistry

from bot.actions.acting import Acting
from bot.actions.bridge import BRIDGE, Bridge
from bot.commands import LISTED
from bot.conversation import Conversation
from bot.delivery.dispatching import Dispatching
from bot.delivery.greeting import Greeting
from bot.delivery.sending import Delivery
from bot.desk import Desk
from bot.drawing import Drawing
from bot.forgetting import forget_old
from bot.heartbeat import Heartbeat
from bot.incidents.alerts import Alerts
from bot.incidents.consume import MARKS, Consumer, Progress
from bot.incidents.departed import Departures
from bot.incidents.deploys import Deploys
from bot.incidents.handling import Handling
from bot.incidents.reading import born_at, read_failures
from bot.incidents.resolver import let_time_pass
from bot.internal.access import access_routes
from bot.internal.actions import actions_route
from bot.internal.app import internal_router
from bot.internal.changes import changes_route
from bot.internal.deeds import deed_routes
from bot.internal.incidents import incident_routes
from bot.internal.rules import rule_routes
from bot.internal.views import view_routes
from bot.kafka import Cluster, Echo, PositionedFeed, Replay, TableFeed, topic_exists
from bot.logsvc import FIGURES, LOGSVC, History
from bot.metrics import Metrics
from bot.people.access import Gate
from bot.people.logins import Logins
from bot.people.roster import People
from bot.people.seal import Seal
from bot.pulse import Pulse
from bot.queues.numbers import Ledger
from bot.queues.snapshots import QUIET_SECONDS, Followed, Snapshots, follow
from bot.render.alert import Links
from bot.routing.chats import Chats
from bot.rules.board import Board
from bot.rules.habits import Habits
from bot.rules.policy import Policy
from bot.rules.preview import Kind, Preview
from bot.rules.rulebook import RuleBook
from bot.rules.rulekeeping import RuleKeeping
from bot.rules.watching import Tables, Watching
from bot.settings import BotSettings
from bot.store.database import POSTGRES, Database, open_engine
from bot.store.setup import set_up
from bot.telegram import TELEGRAM, Telegram
from bot.turns import Turns
from tocsin.breakers import Breakers
from tocsin.discovery import Directory
from tocsin.events import JobEvent, QueueSnapshot, SchedulerSnapshot, SourceSnapshot
from tocsin.health import Health, health_app
from tocsin.http import serve_http
from tocsin.lifecycle import Part, supervise
from tocsin.log_topic import LogTopic
from tocsin.secrecy import register
from tocsin.status import status_route

log = structlog.get_logger("bot")


async def run(settings: BotSettings, stop: asyncio.Event, lines: LogTopic | None = None) -> None:
    """Open the doors, run the parts, close the doors.

    Commands and the HTTP port are there at once; what needs Postgres begins when its tables are up to date.
    """
    started_ms, started = int(time.time() * 1000), time.monotonic()
    async with AsyncExitStack() as doors:
        registry = CollectorRegistry()
        metrics, breakers = Metrics(registry), Breakers(settings, registry)
        health = Health("kafka", POSTGRES, TELEGRAM)
        directory = Directory(settings, registry, breakers)
        engine = open_engine(settings.database_url.get_secret_value())
        doors.push_async_callback(engine.dispose)
        database = Database(engine, breakers, timeout=settings.breaker_timeout_seconds)
        telegram = Telegram(
            settings.telegram_bot_token.get_secret_value(), settings.api_base, lambda: health.ok(TELEGRAM)
        )
        doors.push_async_callback(telegram.close)
        client = await doors.enter_async_context(httpx.AsyncClient(timeout=settings.breaker_timeout_seconds))

        policy = Policy(
            stale_seconds=settings.bot_stale_seconds,
            resolve_seconds=settings.bot_resolve_seconds,
            remind_seconds=settings.bot_remind_seconds,
            ack_seconds=settings.bot_ack_seconds,
            off=settings.bot_rules_off,
            storm_incidents=settings.bot_storm_incidents,
            escalate_seconds=settings.bot_escalate_seconds,
            quiet_hours=settings.bot_quiet_hours,
            escalate_to=tuple(route.to for route in settings.bot_escalate_to),
        )
        book = RuleBook(policy)
        board = Board(book)
        can_act = settings.tocsin_service_token is not None
        links = Links(str(settings.public_url or ""), settings.bot_runbooks, can_act, logs_in=can_act)
        seal = Seal(settings.telegram_bot_token.get_secret_value())
        chats, snapshots, progress = Chats(settings), Snapshots(), Progress()
        history = History(settings, directory, breakers, client)
        deploys = Deploys(history)
        alerts = Alerts(
            chats, book, metrics, links, seal, settings.channels, deploys.before, woken=lambda: delivery.wake()
        )
        delivery = Delivery(
            database,
            telegram,
            breakers,
            chats,
            metrics,
            health,
            edit_seconds=settings.bot_edit_seconds,
            call_seconds=settings.breaker_timeout_seconds,
        )
        register([channel.secret for channel in settings.channels])  # each by itself, beside the whole settings
        dispatching = Dispatching(database, settings.channels, settings.form, breakers, client, metrics)
        greeting = Greeting(snapshots, database, chats, woken=delivery.wake)
        turns = Turns(
            database,
            telegram,
            breakers,
            health,
            metrics,
            lambda over: telegram.listen(conversation.hear, delivery.notice, delivery.hear_of_move, LISTED, over),
        )
        heartbeat = Heartbeat(
            settings.heartbeat_url,
            database,
            telegram,
            breakers,
            progress,
            metrics,
            client,
            lambda: {to.chat_id for to in chats.all_destinations()},
            lambda: Echo(settings, settings.topics.probes),
        )
        pulse = Pulse(
            breakers,
            progress,
            snapshots,
            telegram.polling,
            alerts,
            delivery.pacer,
            metrics,
            heartbeat,
            turns,
            has_alert_chats=lambda: bool(chats.all_destinations()),
        )
        habits = Habits(history, lambda: snapshots.by_place().keys(), snapshots.watched)
        tables = Tables(
            snapshots,
            habits=lambda: habits.by_place,
            behind_seconds=progress.behind_seconds,
            gone=lambda: departures.gone,
        )
        departures = Departures(
            database,
            alerts,
            reported=lambda: tables.reported(QUIET_SECONDS),
            known=tables.known,
            is_listening=lambda: tables.is_listening,
            woken=delivery.wake,
        )
        watching = Watching(
            database, alerts, tables, board, metrics, lambda: greeting.is_complete(time.monotonic()), delivery.wake
        )
        handling = Handling(database, alerts, delivery.wake)
        people, logins = People(frozenset(settings.telegram_admins)), Logins.of(settings)
        ledger = Ledger(history, snapshots)
        bridge = Bridge(settings, directory, breakers, client)
        acting = Acting(
            database,
            bridge,
            handling,
            seal,
            lambda: Replay(settings, settings.topics.jobs),
            delivery.wake,
            is_configured=links.can_act,
        )
        rules = RuleKeeping(database, book)

        def rule_feeds() -> list[tuple[Replay, Kind]]:
            topics = settings.topics
            kinds: dict[str, Kind] = {
                topics.jobs: JobEvent,
                topics.queues: QueueSnapshot,
                topics.schedulers: SchedulerSnapshot,
                topics.sources: SourceSnapshot,
            }
            return [(Replay(settings, topic), kind) for topic, kind in kinds.items()]

        preview = Preview(rule_feeds, book, MARKS)
        desk = Desk(
            *(ledger, history, database, pulse, handling, acting, rules, preview, seal, links, board, chats, people),
            *(logins, Drawing(), tables.schedules, LISTED),
        )
        gate = Gate(people, chats, telegram, breakers)
        internal = internal_router(
            [
                *access_routes(database, people, logins),
                actions_route(database, people, bridge),
                *deed_routes(database, people),
                changes_route(database),
                *incident_routes(handling, people, links, progress),
                *view_routes(database, people),
                *rule_routes(rules, board, preview, people),
            ],
            settings.tocsin_service_token,
            turns.has_tables.is_set,
        )
        status = status_route("bot", health, breakers, progress.behind_seconds)
        conversation = Conversation(telegram, gate, desk, breakers, delivery.pacer, metrics)
        breakers.probe_with(TELEGRAM, telegram.me)
        breakers.probe_with(LOGSVC, history.probe)
        breakers.probe_with(FIGURES, history.probe)
        breakers.probe_with(POSTGRES, database.probe)
        breakers.probe_with(BRIDGE, bridge.probe)
        health.degraded = lambda: ["telegram: another process polls with this token"] if pulse.has_rival else []
        if not chats.all_destinations():
            log.error("nobody_is_rung", mend="set TELEGRAM_ALERT_CHATS or TELEGRAM_ADMINS; /whoami tells the ids")

        async def remember() -> None:
            """Everything that needs Postgres: first its tables, then the parts that live on them."""
            if not await set_up(database, chats, health, stop):
                return
            turns.has_tables.set()
            born_ms = await born_at(database, started_ms, stop)

            def consumer(feed: PositionedFeed, cluster: Cluster) -> Consumer:
                return Consumer(
                    feed,
                    cluster,
                    database,
                    alerts,
                    metrics,
                    health,
                    skew_ms=snapshots.skew_ms,
                    born_ms=born_ms,
                    woken=delivery.wake,
                    progress=progress,
                )

            parts: dict[str, Part] = {
                "failures": lambda: read_failures(settings, consumer, progress, stop),
                "delivery": lambda: delivery.run(stop),
                "greeting": lambda: greeting.run(stop),
                "resolver": lambda: let_time_pass(database, alerts, progress, snapshots, delivery.wake, stop),
                "watching": lambda: watching.run(stop),
                "departed": lambda: departures.run(stop),
                "forgetting": lambda: forget_old(database, stop),
                "pulse": lambda: pulse.sample(database, stop),
                "dispatching": lambda: dispatching.run(stop),
                "heartbeat": lambda: heartbeat.run(stop),
                "subscriptions": lambda: chats.keep(database, stop),
                "people": lambda: people.keep(database, stop),
                "actions": lambda: acting.run(stop),
                "rules": lambda: rules.keep(stop),
            }
            await supervise(parts, stop, drain_seconds=settings.drain_seconds)

        def table(topic: str, into: Followed) -> Awaitable[None]:
            return follow(lambda: topic_exists(settings, topic), lambda: TableFeed(settings, topic), into, stop)

        async def leave() -> None:
            """First of all when draining: nobody is to be sent here any more."""
            await stop.wait()
            health.is_draining = True
            await directory.deregister()

        await directory.register("bot", settings.bot_port)
        parts: dict[str, Part] = {
            "http": lambda: serve_http(
                health_app(health, registry, [internal, status]), settings.bind_host, settings.bot_port, stop
            ),
            "polling": lambda: turns.run(stop),
            "snapshots": lambda: table(settings.topics.queues, snapshots),
            "schedules": lambda: table(settings.topics.schedulers, tables.schedules),
            "sources": lambda: table(settings.topics.sources, tables.sources),
            "habits": lambda: habits.run(stop),
            "deploys": lambda: deploys.follow(stop),
            "probes": lambda: breakers.run_probes(stop),
            "directory": lambda: directory.watch(stop),
            "memory": remember,
            "leaving": leave,
        }
        if lines is not None:
            parts["own logs"] = lambda: lines.run(stop, registry)
        late = await supervise(parts, stop, drain_seconds=settings.drain_seconds)
        log.info("drained", late=late, ran_seconds=round(time.monotonic() - started))
