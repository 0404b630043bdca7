"""The bot on one page: what is opened, what it is made of, what runs."""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack

import structlog

from bot import localtime
from bot.actions.acting import Acting
from bot.commands import LISTED
from bot.conversation import Conversation
from bot.delivery.dispatching import Dispatching
from bot.delivery.greeting import Greeting
from bot.delivery.sending import Delivery
from bot.desk import Desk
from bot.doors import open_doors
from bot.drawing import Drawing
from bot.incidents.alerts import Alerts
from bot.incidents.consume import Progress
from bot.incidents.departed import Departures
from bot.incidents.deploys import Deploys
from bot.incidents.handling import Handling
from bot.incidents.reading import Reading
from bot.incidents.resolver import let_time_pass
from bot.internal.app import internal_router, internal_routes
from bot.kafka import Echo, Replay, TableFeed, topic_exists
from bot.people.access import Gate
from bot.people.logins import Logins
from bot.people.reach import Reach
from bot.people.roster import People
from bot.people.seal import Seal
from bot.queues.numbers import Ledger
from bot.queues.snapshots import Followed, Snapshots, follow
from bot.render.alert import Links
from bot.routing.chats import Chats
from bot.rules.build import build_rules
from bot.rules.watching import Watching
from bot.settings import BotSettings
from bot.store.forgetting import forget_old
from bot.store.setup import set_up
from bot.turns import Turns
from bot.vitals.heartbeat import Heartbeat
from bot.vitals.pulse import Pulse
from tocsin.health import health_app
from tocsin.http import serve_http
from tocsin.lifecycle import Part, supervise
from tocsin.log_topic import LogTopic
from tocsin.secrecy import register
from tocsin.status import status_route
from tocsin.times import current_ms

log = structlog.get_logger("bot")


async def run(settings: BotSettings, stop: asyncio.Event, lines: LogTopic | None = None) -> None:
    """Open the doors, run the parts, close the doors.

    Commands and the HTTP port are there at once; what needs Postgres begins when its tables are up to date.
    """
    localtime.use(settings.bot_time_zone)
    started_ms, started = current_ms(), time.monotonic()
    register([channel.secret for channel in settings.channels])  # each by itself, beside the whole settings
    async with AsyncExitStack() as stack:
        doors = await open_doors(settings, stack)
        breakers, metrics, health, directory = doors.breakers, doors.metrics, doors.health, doors.directory
        database, telegram, history = doors.database, doors.telegram, doors.history

        # What it knows of the world, and by which rules it judges.
        chats, snapshots, progress = Chats(settings), Snapshots(), Progress()
        rules = build_rules(settings, doors, snapshots, progress)
        tables = rules.tables
        people, logins = People(frozenset(settings.telegram_admins)), Logins.of(settings)
        seal = Seal(settings.telegram_bot_token.get_secret_value())
        can_act = settings.tocsin_service_token is not None
        links = Links(str(settings.public_url or ""), settings.bot_runbooks, can_act, logs_in=can_act)

        # Its voice: what was committed to the outbox is sent.
        delivery = Delivery(
            *(database, telegram, breakers, chats, metrics, health),
            edit_seconds=settings.bot_edit_seconds,
            call_seconds=settings.breaker_timeout_seconds,
        )
        dispatching = Dispatching(database, settings.channels, settings.form, breakers, doors.client, metrics)
        greeting = Greeting(
            *(snapshots, database, chats),
            found=lambda: rules.board.firing() if watching.has_begun else None,
            woken=delivery.wake,
        )

        # What it makes of the world: incidents.
        deploys = Deploys(history)
        alerts = Alerts(
            *(chats, rules.book, metrics, links, seal, settings.channels, deploys.before), woken=delivery.wake
        )
        reading = Reading(
            *(settings, database, alerts, metrics, health, progress),
            skew_ms=snapshots.skew_ms,
            woken=delivery.wake,
            started_ms=started_ms,
        )
        watching = Watching(
            *(database, alerts, tables, rules.board, metrics),
            is_settled=lambda: greeting.is_complete(time.monotonic()),
            woken=delivery.wake,
        )
        departures = Departures(database, alerts, tables, woken=delivery.wake)

        # What people do about them.
        handling = Handling(database, alerts, woken=delivery.wake)
        acting = Acting(
            *(database, doors.bridge, handling, seal),
            open_feed=lambda: Replay(settings, settings.topics.jobs),
            woken=delivery.wake,
            is_configured=can_act,
        )

        # How it is itself.
        turns = Turns(database, telegram, breakers, health, metrics)
        heartbeat = Heartbeat(
            *(settings.heartbeat_url, database, telegram, breakers, progress, metrics, doors.client),
            alert_chats=lambda: {to.chat_id for to in chats.all_destinations()},
            open_echo=lambda: Echo(settings, settings.topics.probes),
        )
        pulse = Pulse(
            *(breakers, progress, snapshots, telegram.polling, alerts, delivery.pacer, metrics, heartbeat, turns),
            has_alert_chats=lambda: bool(chats.all_destinations()),
        )
        health.degraded = lambda: ["telegram: another process polls with this token"] if pulse.has_rival else []
        if not chats.all_destinations():
            log.error("nobody_is_rung", mend="set TELEGRAM_ALERT_CHATS or TELEGRAM_ADMINS; /whoami tells the ids")

        # Who asks it: people in chats, and the page.
        desk = Desk(
            ledger=Ledger(history, snapshots),
            history=history,
            database=database,
            pulse=pulse,
            handling=handling,
            acting=acting,
            rules=rules.keeping,
            preview=rules.preview,
            seal=seal,
            links=links,
            board=rules.board,
            chats=chats,
            people=people,
            reach=Reach(telegram, breakers),
            logins=logins,
            drawing=Drawing(),
            schedules=tables.schedules,
            listed=LISTED,
        )
        gate = Gate(people, chats, telegram, breakers)
        conversation = Conversation(telegram, gate, desk, breakers, delivery.pacer, metrics)
        internal = internal_router(internal_routes(desk), settings.tocsin_service_token, turns.has_tables.is_set)
        app = health_app(
            health, doors.registry, [internal, status_route("bot", health, breakers, progress.behind_seconds)]
        )

        def listen(over: asyncio.Event) -> Awaitable[None]:
            return telegram.listen(conversation.hear, delivery.notice, delivery.hear_of_move, LISTED, over)

        def table(topic: str, into: Followed) -> Awaitable[None]:
            return follow(lambda: topic_exists(settings, topic), lambda: TableFeed(settings, topic), into, stop)

        async def remember() -> None:
            """Everything that needs Postgres: first its tables, then the parts that live on them."""
            if await set_up(database, chats, health, stop):
                turns.has_tables.set()
                await supervise(remembering, stop, drain_seconds=settings.drain_seconds)

        remembering: dict[str, Part] = {
            "failures": lambda: reading.run(stop),
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
            "rules": lambda: rules.keeping.keep(stop),
        }
        parts: dict[str, Part] = {
            "http": lambda: serve_http(app, settings.bind_host, settings.bot_port, stop),
            "polling": lambda: turns.run(listen, stop),
            "snapshots": lambda: table(settings.topics.queues, snapshots),
            "schedules": lambda: table(settings.topics.schedulers, tables.schedules),
            "sources": lambda: table(settings.topics.sources, tables.sources),
            "habits": lambda: rules.habits.run(stop),
            "deploys": lambda: deploys.follow(stop),
            "probes": lambda: breakers.run_probes(stop),
            "directory": lambda: directory.watch(stop),
            "memory": remember,
            "leaving": lambda: directory.leave(health, stop),
        }
        if lines is not None:
            parts["own logs"] = lambda: lines.run(stop, doors.registry)
        await directory.register("bot", settings.bot_port)
        late = await supervise(parts, stop, drain_seconds=settings.drain_seconds)
        log.info("drained", late=late, ran_seconds=round(time.monotonic() - started))
