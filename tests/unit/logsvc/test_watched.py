"""What Kafka does not tell of: changes of the bot's and of Tocsin itself are told, and replicas are looked at."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from logsvc.bot import Bot
from logsvc.live.refresh_feed import RefreshFeed
from logsvc.live.refreshes import Subscription, parse_terms
from logsvc.live.watched import Watched
from logsvc.neighbours import FORGET_SECONDS, Neighbours
from logsvc.settings import LogsvcSettings
from tests.eventually import READY_SECONDS, eventually
from tests.unit.logsvc.test_of_bot import GIVEN
from tocsin.breakers import Breakers
from tocsin.discovery import Directory
from tocsin.refresh import OF_BOT, OF_SYSTEM, Refresh
from tocsin.settings import read

Answer = Callable[[httpx.Request], httpx.Response]


def network(answer: Answer) -> tuple[LogsvcSettings, Directory, Breakers, httpx.AsyncClient]:
    settings, registry = read(LogsvcSettings, GIVEN), CollectorRegistry()
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return settings, Directory(settings, registry), Breakers(settings, registry), client


async def test_only_what_is_listened_for_is_looked_at_and_a_bot_that_goes_or_comes_is_a_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words: dict[str, Any] = {"incidents": "1", "rules": "1", "audit": "1"}
    asked: list[str] = []
    is_away = is_old = False

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if is_away:
            raise httpx.ConnectError("refused")
        if is_old:
            return httpx.Response(404, json={"status_code": 404, "detail": "Not Found"})
        return httpx.Response(200, json=words)

    monkeypatch.setattr("logsvc.live.watched.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("logsvc.live.watched.OLD_SECONDS", 0.1)
    settings, directory, breakers, client = network(answer)
    feed, system = RefreshFeed(settings), iter(range(1_000_000))
    told: list[str] = []
    monkeypatch.setattr(feed, "tell", told.append)
    state: Callable[[], Hashable] = lambda: next(system)  # noqa: E731  # looked at = another value
    watched, stop = Watched(feed, Bot(settings, directory, breakers, client), state), asyncio.Event()
    running = asyncio.create_task(watched.run(stop))

    async def has_told(*kinds: str) -> None:
        await eventually(lambda: asyncio.sleep(0, set(kinds) == set(told)), what=f"{kinds} told")
        told.clear()

    feed.listen(Subscription(parse_terms([{"type": "queue-refresh"}])))
    await asyncio.sleep(0.1)
    assert (asked, told) == ([], []), "nobody wants to hear of it"
    of_bot = Subscription(parse_terms([{"type": kind} for kind in OF_BOT]))
    feed.listen(of_bot)
    await has_told(*OF_BOT)
    words["rules"] = "2"
    await has_told("rule-refresh")
    is_away = True
    await has_told(*OF_BOT)
    breakers.forget("bot")
    is_away = False
    await has_told(*OF_BOT)
    is_old = True
    for _ in range(2):  # a bot of a release before cannot tell: it is looked at again and again
        await has_told(*OF_BOT)
    assert not breakers.is_open("bot")
    feed.leave(of_bot)
    await asyncio.sleep(0.05)
    told.clear()
    feed.listen(Subscription(parse_terms([{"type": OF_SYSTEM}])))
    await eventually(lambda: asyncio.sleep(0, told.count(OF_SYSTEM) > 2), what="each change of the system told")
    stop.set()
    await asyncio.wait_for(running, READY_SECONDS)


def test_our_own_words_are_told_only_to_who_asks_for_them_by_name() -> None:
    everything, named = Subscription(), Subscription(parse_terms([{"type": "incident-refresh"}]))
    assert not everything.offer([Refresh("incident-refresh"), Refresh("system-refresh")])
    assert named.offer([Refresh("incident-refresh"), Refresh("queue-refresh")])
    assert named.take() == [Refresh("incident-refresh")]


async def test_a_replica_that_is_silent_keeps_what_it_said_last_and_is_forgotten_in_the_end() -> None:
    said: dict[str, Any] = {
        "service": "bridge",
        "version": "1.2.3",
        "missing": [],
        "breakers": {"kafka": "open"},
        "lag_seconds": 2.5,
    }
    is_away, now = False, 1_000.0

    def answer(request: httpx.Request) -> httpx.Response:
        if is_away:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, json=said)

    _, directory, breakers, client = network(answer)
    addresses = ["http://one:9101"]
    directory.urls_of = lambda service: addresses
    others = Neighbours(directory, breakers, client, ["bridge"], clock=lambda: now)
    stop = asyncio.Event()
    stop.set()  # one look each
    await others.run(stop)
    [seen] = others.seen
    assert seen.status is not None
    assert (seen.status.version, seen.status.breakers, seen.at, seen.problem) == ("1.2.3", {"kafka": "open"}, now, "")
    is_away, now = True, 1_060.0
    await others.run(stop)
    [silent] = others.seen
    assert (silent.status, silent.at, silent.problem) == (seen.status, 1_000.0, "nothing listens there")
    addresses.clear()
    await others.run(stop)
    assert [one.problem for one in others.seen] == ["no longer registered"]
    now += FORGET_SECONDS
    await others.run(stop)
    assert others.seen == []
