"""The bridge on one page: what is opened, what runs, in which order it stops."""

import asyncio
from contextlib import AsyncExitStack

import structlog
from prometheus_client import CollectorRegistry

from bridge.actions.api import action_route
from bridge.actions.desk import Desk
from bridge.actions.ledger import Ledger
from bridge.actions.performer import Performer
from bridge.kafka import Membership, guard_by
from bridge.metrics import Metrics
from bridge.partition.ownership import Ownership
from bridge.partition.relay import Relay
from bridge.readiness import NEED, Readiness
from bridge.redaction import redact
from bridge.settings import BridgeSettings
from bridge.sources.bullmq.source import BullmqSource
from tocsin.breakers import Breakers
from tocsin.discovery import Directory
from tocsin.health import Health, health_app
from tocsin.http import serve_http
from tocsin.lifecycle import Part, supervise
from tocsin.log_topic import LogTopic
from tocsin.status import status_route
from tocsin.topic_admin import until_topics_fit

log = structlog.get_logger("bridge")


async def run(settings: BridgeSettings, stop: asyncio.Event, lines: LogTopic | None = None) -> None:
    """Relay until stop is set, then drain: ready says no, readers stop, the last transaction is committed."""
    redact.hide_also(settings.bridge_redact_patterns)
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    health = Health(NEED, *(f"redis:{source.name}" for source in settings.sources))

    async with AsyncExitStack() as stack:
        breakers = Breakers(settings, registry)
        sources = [BullmqSource(source, settings, metrics, health, breakers) for source in settings.sources]
        for source in sources:
            stack.push_async_callback(source.close)
        ledger = Ledger(settings, breakers)
        stack.push_async_callback(ledger.close)
        performers = {source.name: Performer(source) for source in settings.sources if source.actions is not None}
        for performer in performers.values():
            stack.push_async_callback(performer.close)
        desk = Desk(sources, performers, settings.bridge_action_policy, ledger, breakers, stop)
        routes = [
            action_route(desk, settings.tocsin_service_token, metrics),
            status_route("bridge", health, breakers, metrics.longest_wait),
        ]
        readiness = Readiness(health)
        guard = guard_by(breakers)
        relay = Relay(settings, sources, metrics, readiness, guard)
        ownership = Ownership(relay.run, metrics, readiness)
        membership = Membership(settings, ownership, guard)
        directory = Directory(settings, registry, breakers)
        await directory.register("bridge", settings.bridge_port)
        stack.push_async_callback(directory.deregister)  # after a crash; in a drain it is done long before

        released = asyncio.Event()

        async def own() -> None:
            try:
                await ownership.run(stop)
            finally:
                released.set()

        async def join() -> None:
            await until_topics_fit(settings, stop, breakers)
            await membership.run(released)

        parts: dict[str, Part] = {
            "http": lambda: serve_http(
                health_app(health, registry, routes), settings.bind_host, settings.bridge_port, released
            ),
            "ownership": own,
            "membership": join,
            "directory": lambda: directory.watch(stop),
            "leaving": lambda: directory.leave(health, stop),
            "probes": lambda: breakers.run_probes(stop),
        }
        if lines is not None:
            parts["own logs"] = lambda: lines.run(stop, registry)
        for source in sources:
            parts[source.need] = _looking(source, stop)
        late = await supervise(parts, stop, drain_seconds=settings.drain_seconds)
        if late:
            log.warning("drain_late", parts=late)


def _looking(source: BullmqSource, stop: asyncio.Event) -> Part:
    return lambda: source.run(stop)
