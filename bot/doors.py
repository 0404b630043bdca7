"""The doors to what is outside, opened together. Kafka's are opened by whoever reads it."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
from prometheus_client import CollectorRegistry

from bot.actions.bridge import BRIDGE, Bridge
from bot.logsvc import FIGURES, LOGSVC, History
from bot.metrics import Metrics
from bot.settings import BotSettings
from bot.store.database import POSTGRES, Database, open_engine
from bot.telegram import TELEGRAM, Telegram
from tocsin.breakers import Breakers
from tocsin.discovery import Directory
from tocsin.health import Health


@dataclass(frozen=True)
class Doors:
    """One for the process. client: for HTTP. What breakers, health and metrics tell of them belongs to them."""

    registry: CollectorRegistry
    metrics: Metrics
    breakers: Breakers
    health: Health
    directory: Directory
    client: httpx.AsyncClient
    database: Database
    telegram: Telegram
    history: History
    bridge: Bridge


async def open_doors(settings: BotSettings, stack: AsyncExitStack) -> Doors:
    """Open them; nothing is asked of anybody yet. The stack closes them."""
    registry = CollectorRegistry()
    breakers, health = Breakers(settings, registry), Health("kafka", POSTGRES, TELEGRAM)
    directory = Directory(settings, registry, breakers)
    engine = open_engine(settings.database_url.get_secret_value())
    stack.push_async_callback(engine.dispose)
    database = Database(engine, breakers, timeout=settings.breaker_timeout_seconds)
    token = settings.telegram_bot_token.get_secret_value()
    telegram = Telegram(token, settings.api_base, lambda: health.ok(TELEGRAM))
    stack.push_async_callback(telegram.close)
    client = await stack.enter_async_context(httpx.AsyncClient(timeout=settings.breaker_timeout_seconds))
    history = History(settings, directory, breakers, client)
    bridge = Bridge(settings, directory, breakers, client)
    breakers.probe_with(TELEGRAM, telegram.me)
    breakers.probe_with(LOGSVC, history.probe)
    breakers.probe_with(FIGURES, history.probe)
    breakers.probe_with(POSTGRES, database.probe)
    breakers.probe_with(BRIDGE, bridge.probe)
    return Doors(
        registry=registry,
        metrics=Metrics(registry),
        breakers=breakers,
        health=health,
        directory=directory,
        client=client,
        database=database,
        telegram=telegram,
        history=history,
        bridge=bridge,
    )
