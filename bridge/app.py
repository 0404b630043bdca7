"""The bridge on one page: what is opened, what runs, in which order it stops."""

import asyncio
from contextlib import AsyncExitStack

import structlog
from prometheus_client import CollectorRegistry

from bridge.kafka import Membership
from bridge.metrics import Metrics
from bridge.ownership import Ownership
from bridge.relay import Relay
from bridge.settings import BridgeSettings
from bridge.sources.bullmq.source import BullmqSource
from tocsin.discovery import Directory
from tocsin.health import Health, health_app
from tocsin.http import serve_http
from tocsin.lifecycle import Part, supervise
from tocsin.topic_admin import until_topics_fit

log = structlog.get_logger("bridge")


async def run(settings: BridgeSettings, stop: asyncio.Event) -> None:
    """Relay until stop is set, then drain: ready says no, readers stop, the last transaction is committed."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    health = Health("kafka", *(f"redis:{source.name}" for source in settings.sources))

    async with AsyncExitStack() as stack:
        sources = [BullmqSource(source, settings, metrics, health) for source in settings.sources]
        for source in sources:
            stack.push_async_callback(source.close)
        relay = Relay(settings, sources, metrics, health)
        ownership = Ownership(relay.run, metrics)
        membership = Membership(settings, ownership)
        directory = Directory(settings, registry)
        await directory.register("bridge", settings.bridge_port)
        stack.push_async_callback(directory.deregister)

        released = asyncio.Event()

        async def own() -> None:
            try:
                await ownership.run(stop)
            finally:
                released.set()

        async def join() -> None:
            await until_topics_fit(settings, stop)
            await membership.run(released)

        parts: dict[str, Part] = {
            "http": lambda: serve_http(
                health_app(health, registry), settings.bind_host, settings.bridge_port, released
            ),
            "ownership": own,
            "membership": join,
            "directory": lambda: directory.watch(stop),
            "draining": lambda: _say_draining(health, stop),
        }
        for source in sources:
            parts[source.need] = _looking(source, stop)
        late = await supervise(parts, stop, drain_seconds=settings.drain_seconds)
        if late:
            log.warning("drain_late", parts=late)


def _looking(source: BullmqSource, stop: asyncio.Event) -> Part:
    return lambda: source.run(stop)


async def _say_draining(health: Health, stop: asyncio.Event) -> None:
    await stop.wait()
    health.is_draining = True
