"""tocsin/discovery.py against a real Consul agent."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator

import pytest
from litestar import Litestar, Response, get, put
from litestar.params import FromPath
from prometheus_client import CollectorRegistry

from tests.eventually import READY_SECONDS, eventually
from tests.ports import free_port
from tests.servers.consul_agent import ACLS, ROOT_TOKEN, ConsulAgent, running_agent
from tests.servers.serving import serving
from tests.stalls import stalls
from tests.tcp import close, listening
from tocsin.addresses import parse_agent
from tocsin.breakers import Breakers
from tocsin.discovery import CHECK_INTERVAL, Directory, connect
from tocsin.settings import Settings, read


def directory(agent: str | None = None, registry: CollectorRegistry | None = None, **more: str) -> Directory:
    environ = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", **more}
    if agent:
        environ["CONSUL_HTTP_ADDR"] = agent
    settings, registry = read(Settings, environ), registry or CollectorRegistry()
    return Directory(settings, registry, Breakers(settings, registry))


def breaker(registry: CollectorRegistry) -> float | None:
    """0 closed, 2 open."""
    return registry.get_sample_value("tocsin_breaker_state", {"dependency": "consul"})


@contextlib.asynccontextmanager
async def watching(*directories: Directory) -> AsyncGenerator[None]:
    """Run watch of each; at the end it must stop at once."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(each.watch(stop)) for each in directories]
    try:
        yield
        assert not any(task.done() for task in tasks), "watch ended before stop"
    finally:
        stop.set()
        async with asyncio.timeout(READY_SECONDS):
            await asyncio.gather(*tasks)


@contextlib.asynccontextmanager
async def replica() -> AsyncGenerator[int]:
    """Something that answers /health/ready on a port of its own."""

    @get("/health/ready", sync_to_thread=False)
    def ready() -> Response[str]:
        return Response("ready")

    port, stop = free_port(), asyncio.Event()
    app = Litestar([ready], openapi_config=None, logging_config=None)
    task = await serving(app, port, stop)
    try:
        yield port
    finally:
        stop.set()
        await task


@pytest.fixture
async def agent() -> AsyncGenerator[ConsulAgent]:
    async with running_agent() as started:
        yield started


async def registered(agent: ConsulAgent) -> list[str]:
    return sorted(await agent.get("/v1/agent/services"))


async def test_a_registered_service_is_found_while_healthy_and_gone_after_its_drain(agent: ConsulAgent) -> None:
    serving, asking = directory(agent.address), directory(agent.address)
    async with replica() as port, watching(serving, asking):
        await serving.register("logsvc", port)
        await eventually(lambda: asking.urls_of("logsvc") == [f"http://127.0.0.1:{port}"])
        assert await registered(agent) == [f"logsvc-127.0.0.1-{port}"]

        async def is_checked() -> bool:
            [check] = (await agent.get("/v1/agent/checks")).values()
            return check["Status"] == "passing" and f"http://127.0.0.1:{port}/health/ready" in check["Output"]

        await eventually(is_checked)
        assert (await agent.get("/v1/agent/services"))[f"logsvc-127.0.0.1-{port}"]["Tags"] == ["tocsin"]
        await serving.deregister()
        assert await registered(agent) == []
        await eventually(lambda: asking.url_of("logsvc") is None)


async def test_the_healthy_replica_is_used_within_5_s_of_the_others_death(agent: ConsulAgent) -> None:
    first, second, asking = directory(agent.address), directory(agent.address), directory(agent.address)
    async with contextlib.AsyncExitStack() as stack:
        dying = contextlib.AsyncExitStack()
        await stack.enter_async_context(dying)
        doomed, lasting = await dying.enter_async_context(replica()), await stack.enter_async_context(replica())
        await stack.enter_async_context(watching(first, second, asking))
        await first.register("logsvc", doomed)
        await second.register("logsvc", lasting)
        both = sorted([f"http://127.0.0.1:{doomed}", f"http://127.0.0.1:{lasting}"])
        await eventually(lambda: asking.urls_of("logsvc") == both)
        assert {asking.url_of("logsvc") for _ in range(4)} == set(both)  # in turn
        assert 2 * float(CHECK_INTERVAL.removesuffix("s")) < 5, "one that hangs is found in an interval and a timeout"
        await dying.aclose()
        async with stalls() as stalled:
            took = await eventually(lambda: asking.urls_of("logsvc") == [f"http://127.0.0.1:{lasting}"])
            assert took < 5 + stalled()


async def test_last_known_addresses_serve_while_consul_is_away_and_registration_returns_with_it(
    agent: ConsulAgent,
) -> None:
    registry = CollectorRegistry()
    serving, asking = directory(agent.address), directory(agent.address, registry)
    async with replica() as port, watching(serving, asking):
        await serving.register("logsvc", port)
        await eventually(lambda: asking.urls_of("logsvc") == [f"http://127.0.0.1:{port}"])
        assert breaker(registry) == 0
        await agent.stop()
        await eventually(lambda: errors_seen(registry) > 0)
        await eventually(lambda: breaker(registry) == 2, what="an open breaker")
        assert asking.url_of("logsvc") == f"http://127.0.0.1:{port}"
        await agent.start()  # a dev agent keeps nothing: what is there now was registered again

        async def is_back() -> bool:
            return await registered(agent) == [f"logsvc-127.0.0.1-{port}"]

        await eventually(is_back)
        await eventually(lambda: breaker(registry) == 0, what="a closed breaker, by the loops' own calls")
        await eventually(lambda: asking.urls_of("logsvc") == [f"http://127.0.0.1:{port}"])


async def test_a_consul_that_comes_later_gets_the_registration() -> None:
    async with running_agent() as agent:
        await agent.stop()
        serving, asking = directory(agent.address), directory(agent.address, LOGSVC_URL="http://127.0.0.1:7/")
        async with replica() as port, watching(serving, asking):
            await serving.register("logsvc", port)
            assert asking.urls_of("logsvc") == ["http://127.0.0.1:7"]  # what the settings say, until Consul answers
            await agent.start()
            await eventually(lambda: asking.urls_of("logsvc") == [f"http://127.0.0.1:{port}"])


async def test_a_consul_that_hangs_delays_nobody_beyond_the_deadline(agent: ConsulAgent) -> None:
    serving, asking = directory(agent.address), directory(agent.address)
    async with replica() as port, watching(serving, asking):
        await serving.register("logsvc", port)
        await eventually(lambda: asking.urls_of("logsvc") == [f"http://127.0.0.1:{port}"])
        agent.freeze()
        try:
            started = time.monotonic()
            await serving.deregister()
            await serving.register("logsvc", port)
            assert time.monotonic() - started < 30, "two calls of 6 s at most, and time for a busy machine"
            assert asking.url_of("logsvc") == f"http://127.0.0.1:{port}"
        finally:
            agent.thaw()


async def test_the_token_travels_in_a_header_and_never_in_a_url() -> None:
    async with running_agent(ACLS) as agent, recording(agent.http_port) as (port, seen):
        serving = directory(f"http://127.0.0.1:{port}", CONSUL_HTTP_TOKEN=ROOT_TOKEN)
        asking = directory(f"127.0.0.1:{port}", CONSUL_HTTP_TOKEN=ROOT_TOKEN)
        async with replica() as served, watching(serving, asking):
            await serving.register("logsvc", served)
            await eventually(lambda: asking.urls_of("logsvc") == [f"http://127.0.0.1:{served}"])
            await serving.deregister()
        session = connect(parse_agent(f"127.0.0.1:{port}"), ROOT_TOKEN, 3).session
        assert await asyncio.to_thread(session.create, "lock")
        requests = [line for line in bytes(seen).split(b"\r\n") if line.endswith(b"HTTP/1.1")]
        assert any(b"/v1/agent/service/register" in line for line in requests)
        assert any(b"/v1/session/create" in line for line in requests)
        assert not any(ROOT_TOKEN.encode() in line for line in requests)
        assert f"X-Consul-Token: {ROOT_TOKEN}".encode() in seen


async def test_a_refused_token_stops_nothing() -> None:
    async with running_agent(ACLS) as agent:
        registry = CollectorRegistry()
        asking = directory(agent.address, registry, CONSUL_HTTP_TOKEN="5f6e7d8c-0000-4000-8000-0000000000ff")
        async with watching(asking):
            await asking.register("logsvc", 9001)
            assert asking.url_of("logsvc") is not None
            await eventually(lambda: errors_seen(registry) > 0)
            await eventually(lambda: errors_seen(registry) > 5, what="more refusals than open a breaker")
            assert breaker(registry) == 0, "who refuses is well"
        assert await registered(agent) == []


async def test_without_consul_the_settings_say_where_the_others_are() -> None:
    lone = directory(LOGSVC_URL="https://logs.example/tocsin/", BOT_PORT="19102")
    async with watching(lone):
        await lone.register("logsvc", 9001)
        assert lone.url_of("logsvc") == "https://logs.example/tocsin"
        assert lone.urls_of("bot") == ["http://127.0.0.1:19102"]
        await lone.deregister()


@contextlib.asynccontextmanager
async def recording(port: int) -> AsyncGenerator[tuple[int, bytearray]]:
    """A TCP relay to `port` that keeps what clients send."""
    seen = bytearray()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keep: bool) -> None:
        while data := await reader.read(65536):
            if keep:
                seen.extend(data)
            writer.write(data)
            await writer.drain()
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(pump(reader, far_writer, True), pump(far_reader, writer, False))
        finally:
            await close(far_writer)

    async with listening(relay) as near:
        yield near, seen


def errors_seen(registry: CollectorRegistry) -> float:
    return sum(
        sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "tocsin_consul_errors_total"
    )


async def test_a_registration_that_cannot_be_taken_back_stops_nothing() -> None:
    """An agent that registers slowly and then refuses to forget: the service is stopped in between."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    @put("/v1/agent/service/register", status_code=200)
    async def register() -> None:
        asked.set()
        await go_on.wait()

    @put("/v1/agent/service/deregister/{service_id:str}", status_code=500, sync_to_thread=False)
    def refuse(service_id: FromPath[str]) -> str:
        return "no"

    port, stop = free_port(), asyncio.Event()
    app = Litestar([register, refuse], openapi_config=None, logging_config=None)
    task = await serving(app, port, stop)
    try:
        mine = directory(f"127.0.0.1:{port}")
        registering = asyncio.create_task(mine.register("bridge", 9101))
        await asyncio.wait_for(asked.wait(), READY_SECONDS)
        leaving = asyncio.create_task(mine.deregister())
        await asyncio.sleep(0)  # it has begun, and waits for the call that is on its way
        go_on.set()
        await asyncio.gather(registering, leaving)
    finally:
        stop.set()
        await task
