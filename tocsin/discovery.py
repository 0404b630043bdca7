"""Where the services find one another: the one door to Consul.

With CONSUL_HTTP_ADDR a service registers itself and follows the healthy addresses of those it asks for. Consul is never
needed to go on: while it is away the last known addresses serve, and registration is tried again until it works.
Without Consul, and until it has answered once, the addresses are those of the settings.
"""

import asyncio
import contextlib
import functools
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog
from consul import (  # pyright: ignore[reportMissingTypeStubs]  # has none; `import consul` would find our folder
    ACLPermissionDenied,
    Consul,
)
from prometheus_client import CollectorRegistry, Counter, Gauge

from tocsin.addresses import Agent, base_url, healthy_urls, next_index, own_address, parse_agent
from tocsin.breakers import Breakers, Guard, Unavailable
from tocsin.health import Health
from tocsin.lifecycle import unless_cancelled
from tocsin.settings import Settings

log = structlog.get_logger("discovery")

CONSUL = "consul"
CALL_SECONDS = 3.0
"""Deadline of one call to the agent, which is on this host or next to it."""
WAIT_SECONDS = 3
"""Longest a blocking query is held by the agent: also the longest it can delay the end of the process."""
KEEP_SECONDS = 10.0
"""How often a registration is looked for: an agent that was restarted has forgotten it."""
RETRY_SECONDS = (0.5, 4.0)
"""First and longest pause after a failed call; peers must be found again within 5 s of Consul's return."""
CHECK_INTERVAL = "2s"
REFUSED_MEND = "check CONSUL_HTTP_TOKEN; consul/README.md has the command that makes a token for each service"
FORGET_AFTER = "5m"
"""Consul drops a replica that has been failing its check for so long (its minimum is one minute)."""


@dataclass
class _Peer:
    """What is known of one service. urls None = Consul has not answered yet."""

    urls: list[str] | None = None
    turn: int = 0


@dataclass(frozen=True)
class _Registration:
    service: str
    host: str
    port: int
    health_path: str

    @property
    def id(self) -> str:
        return f"{self.service}-{self.host}-{self.port}"

    def write(self, client: Any) -> None:
        check = {
            "http": f"{base_url(self.host, self.port)}{self.health_path}",
            "interval": CHECK_INTERVAL,
            "timeout": CHECK_INTERVAL,
            "DeregisterCriticalServiceAfter": FORGET_AFTER,
        }
        client.agent.service.register(
            self.service, service_id=self.id, address=self.host, port=self.port, tags=["tocsin"], check=check
        )

    def erase(self, client: Any) -> None:
        client.agent.service.deregister(self.id)


@dataclass
class _Away:
    """An outage of Consul, told once when it begins and once when it ends. needs: the right that a refusal is about."""

    needs: str
    failures: int = 0
    is_refused: bool = False
    pause: float = field(default=RETRY_SECONDS[0])

    def failed(self, error: Exception) -> float:
        if isinstance(error, ACLPermissionDenied):
            if not self.is_refused:
                log.error("consul_refused", needs=self.needs, said=str(error)[:200], mend=REFUSED_MEND)
            self.is_refused = True
        elif self.failures == 0:
            log.warning("consul_unavailable", error=_kind(error))
        self.failures += 1
        seconds = self.pause * random.uniform(0.5, 1)  # so that replicas do not come back all at once
        self.pause = min(self.pause * 2, RETRY_SECONDS[1])
        return seconds

    def answered(self) -> None:
        if self.failures:
            log.info("consul_back", failures=self.failures)
        self.failures, self.is_refused, self.pause = 0, False, RETRY_SECONDS[0]


class Directory:
    """Registers this service and answers where the others are. Run `watch` as a supervised part."""

    def __init__(
        self, settings: Settings, registry: CollectorRegistry | None = None, breakers: Breakers | None = None
    ) -> None:
        self._settings = settings
        self._agent = parse_agent(settings.consul_http_addr) if settings.consul_http_addr else None
        self._guard: Guard = asyncio.timeout
        if self._agent and breakers:
            self._guard = breakers.guard_loops(CONSUL, errors_that_count=(Exception,), reset_seconds=RETRY_SECONDS[0])
        self._client = self._connect(CALL_SECONDS) if self._agent else None
        self._calls = asyncio.Lock()  # one thread at a time in self._client
        self._peers: dict[str, _Peer] = {}
        self._follow_new: Callable[[str], None] = lambda _service: None
        self._mine: _Registration | None = None
        self._is_registered = False
        self._registering = _Away("service:write")
        self._up = Gauge(f"{settings.service}_consul_up", "1 while Consul answers", registry=registry)
        self._errors = Counter(
            f"{settings.service}_consul_errors_total", "Calls to Consul that failed", ["call"], registry=registry
        )

    async def register(self, service: str, port: int, *, health_path: str = "/health/ready") -> None:
        """Tell Consul that this process serves `service` on `port`, and let it check `health_path`.

        Never raises because of Consul: `watch` goes on trying. Without Consul it does nothing.
        """
        if self._agent is None:
            return
        host = await asyncio.to_thread(own_address, self._settings, self._agent)
        self._mine = _Registration(service, host, port, health_path)
        self._registering = _Away(f"service:write for {service}")
        await self._try_to_register()

    async def deregister(self) -> None:
        """Take this process out of Consul; call it first when draining. Never raises because of Consul."""
        mine, self._mine = self._mine, None
        if mine is not None:
            await self._take_back(mine)
        self._is_registered = False

    async def leave(self, health: Health, stop: asyncio.Event) -> None:
        """First of all when draining: once stop is set, nobody is to be sent here any more."""
        await stop.wait()
        health.is_draining = True
        await self.deregister()

    def url_of(self, service: str) -> str | None:
        """Base URL of one replica, each in its turn, no slash at the end; None if none is registered."""
        urls = self.urls_of(service)
        if not urls:
            return None
        peer = self._peers[service]
        peer.turn += 1
        return urls[peer.turn % len(urls)]

    def urls_of(self, service: str) -> list[str]:
        """Base URLs of the healthy replicas; if Consul calls none healthy, of all: one may still answer in part."""
        self.look_for(service)
        peer = self._peers[service]
        return [self._configured(service)] if peer.urls is None else list(peer.urls)

    def look_for(self, service: str) -> None:
        """Follow a service before it is called, so that the first call already goes where Consul says."""
        if service not in self._peers:
            self._peers[service] = _Peer()
            self._follow_new(service)

    async def watch(self, stop: asyncio.Event) -> None:
        """Follow the services asked for and keep this one registered, until stop is set."""
        if self._agent is None:
            await stop.wait()
            return
        tasks: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as group:

            def begin(name: str, part: Coroutine[None, None, None]) -> None:
                tasks.append(group.create_task(unless_cancelled(name, part), name=name))

            def follow(service: str) -> None:
                begin(f"consul-{service}", self._follow(service))

            for service in self._peers:
                follow(service)
            self._follow_new = follow
            begin("consul-registration", self._keep_registered())
            await stop.wait()
            self._follow_new = lambda _service: None
            for task in tasks:
                task.cancel()

    async def _follow(self, service: str) -> None:
        client = self._connect(WAIT_SECONDS + CALL_SECONDS)
        away = _Away(f"service:read for {service}")
        index: str | None = None
        while True:
            ask = functools.partial(client.health.service, service, index=index, wait=f"{WAIT_SECONDS}s")
            try:
                answered, entries = await self._ask(ask, WAIT_SECONDS + CALL_SECONDS + 1)
                urls = healthy_urls(entries or [])
            except Exception as error:  # noqa: BLE001  # this loop outlives whatever Consul, or what answers there, does
                self._failed("health", error)
                index = None
                await asyncio.sleep(away.failed(error))
                continue
            away.answered()
            self._up.set(1)
            index = next_index(index, answered)
            peer = self._peers[service]
            if urls != peer.urls:
                log.info("peers_changed", peer=service, count=len(urls))
                peer.urls = urls
            if index is None:  # the agent starts to count anew: ask at once, but never in a tight loop
                await asyncio.sleep(RETRY_SECONDS[0])

    async def _keep_registered(self) -> None:
        while True:
            if self._mine is None:
                await asyncio.sleep(RETRY_SECONDS[0])
            elif await self._try_to_register():
                await asyncio.sleep(KEEP_SECONDS)
            else:
                await asyncio.sleep(self._registering.pause)

    async def _try_to_register(self) -> bool:
        """Write the registration unless the agent has it."""
        mine, away = self._mine, self._registering
        if mine is None:
            return False
        try:
            if self._is_registered and mine.id in await self._call("services", _services):
                away.answered()
                return True
            await self._call("register", mine.write)
        except Exception as error:  # noqa: BLE001  # Consul being ill never stops a service
            self._is_registered = False
            away.failed(error)
            return False
        if self._mine is None:  # deregistered while the call was on its way: take it back
            await self._take_back(mine)
            return False
        away.answered()
        self._is_registered = True
        log.info("consul_registered", service_id=mine.id)
        return True

    async def _take_back(self, mine: _Registration) -> None:
        try:
            await self._call("deregister", mine.erase)
        except Exception as error:  # noqa: BLE001  # a service stops all the same; Consul forgets it by itself
            log.warning("consul_deregister_failed", service_id=mine.id, error=_kind(error))

    async def _call(self, name: str, call: Callable[[Any], Any]) -> Any:
        assert self._client is not None
        try:
            answer = await self._ask(functools.partial(call, self._client), 2 * CALL_SECONDS, self._calls)
        except Exception as error:
            self._failed(name, error)
            raise
        self._up.set(1)
        return answer

    async def _ask(self, call: Callable[[], Any], seconds: float, turn: asyncio.Lock | None = None) -> Any:
        """Call the agent under the breaker, in its turn. A refusal is an answer: Consul is well."""
        async with self._guard(seconds), turn or contextlib.nullcontext():
            try:
                return await asyncio.to_thread(call)
            except ACLPermissionDenied as error:
                refused = error
        raise refused

    def _failed(self, call: str, error: Exception) -> None:
        self._up.set(0)
        if isinstance(error, Unavailable) and error.__cause__ is None:
            return  # not asked: the breaker is open
        self._errors.labels(call).inc()
        log.debug("consul_call_failed", call=call, error=_kind(error))

    def _connect(self, deadline: float) -> Any:
        assert self._agent is not None
        token = self._settings.consul_http_token
        return connect(self._agent, token.get_secret_value() if token else None, deadline)

    def _configured(self, service: str) -> str:
        url = getattr(self._settings, f"{service}_url", None)
        return str(url).rstrip("/") if url else f"http://127.0.0.1:{getattr(self._settings, f'{service}_port')}"


def _kind(error: Exception) -> str:
    """The name of what went wrong, below the breaker."""
    return type(error.__cause__ if isinstance(error, Unavailable) and error.__cause__ else error).__name__


def _services(client: Any) -> Any:
    return client.agent.services()


class _Client(Consul):
    """python-consul's client, without its own reading of CONSUL_HTTP_*.

    There an URL raises, and a token ends up in query strings, where proxies and access logs keep it.
    """

    def __init__(self, agent: Agent) -> None:
        self.http = self.connect(agent.host, agent.port, agent.scheme)  # pyright: ignore[reportUnknownMemberType]  # untyped library
        self.scheme, self.token, self.dc, self.consistency = agent.scheme, None, None, "default"
        self.agent, self.health, self.session = Consul.Agent(self), Consul.Health(self), Consul.Session(self)


def connect(agent: Agent, token: str | None, deadline: float) -> Any:
    """A blocking client for one thread at a time. deadline: seconds to connect, and between two reads.

    The token travels in a header only; so it also goes with session calls, to which python-consul adds none.
    """
    client: Any = _Client(agent)
    session = client.http.session
    session.request = functools.partial(session.request, timeout=deadline)
    if token:
        session.headers["X-Consul-Token"] = token
    return client
