"""What consul/README.md tells of ACLs and Connect, done word for word on a real agent that refuses by default."""

import asyncio
import json
import os
import re
import shlex
import subprocess
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tests.eventually import READY_SECONDS, eventually
from tests.integration.test_discovery import directory, registered, replica, watching
from tests.ports import free_port
from tests.servers.consul_agent import ACLS, ROOT_TOKEN, ConsulAgent, running_agent
from tests.tools import tool
from tocsin.doctor.consul import LOOKED_UP, check_consul
from tocsin.doctor.finding import Verdict
from tocsin.stack.process import Command, start

CONSUL = Path(__file__).parents[2] / "consul"
README = (CONSUL / "README.md").read_text()


@pytest.fixture
async def agent() -> AsyncGenerator[ConsulAgent]:
    async with running_agent(ACLS) as started:
        yield started


def commands(beginning: str) -> list[str]:
    """The commands of the README that begin so."""
    found = re.findall(rf"^({beginning}.*?)(?:  +#.*)?$", README, re.MULTILINE)
    assert found, beginning
    return found


def run(agent: ConsulAgent, command: str, token: str = ROOT_TOKEN) -> str:
    """A command of consul's, by who holds the token."""
    environ = {**os.environ, "CONSUL_HTTP_ADDR": agent.address, "CONSUL_HTTP_TOKEN": token}
    argv = [tool("consul"), *shlex.split(command)[1:]]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=READY_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def documented_tokens(agent: ConsulAgent) -> dict[str, str]:
    """A token for each service, made as the README says."""
    made = [(command.split()[-1], secret(run(agent, command))) for command in commands("consul acl token create")]
    assert {service for service, _ in made} == {"bridge", "logsvc", "bot"}
    return dict(made)


def secret(told: str) -> str:
    found = re.search(r"SecretID: +(\S+)", told)
    assert found is not None, told
    return found[1]


async def test_services_find_one_another_with_the_tokens_of_the_readme(agent: ConsulAgent) -> None:
    tokens = await asyncio.to_thread(documented_tokens, agent)
    async with AsyncExitStack() as stack:
        ports = {service: await stack.enter_async_context(replica()) for service in tokens}
        houses = {service: directory(agent.address, CONSUL_HTTP_TOKEN=token) for service, token in tokens.items()}
        await stack.enter_async_context(watching(*houses.values()))
        for service, house in houses.items():
            await house.register(service, ports[service])

        async def are_registered() -> bool:
            return await registered(agent) == sorted(f"{one}-127.0.0.1-{port}" for one, port in ports.items())

        await eventually(are_registered, what="every service in Consul's catalogue")
        for service, others in LOOKED_UP.items():
            for other in others:
                wanted = [f"http://127.0.0.1:{ports[other]}"]
                await eventually(lambda: houses[service].urls_of(other) == wanted)  # noqa: B023  # awaited in this round
            environ = {"CONSUL_HTTP_ADDR": agent.address, "CONSUL_HTTP_TOKEN": tokens[service]}
            assert [one.verdict for one in await check_consul(environ, [service])] == [Verdict.OK]
        await houses["bot"].deregister()
        await eventually(lambda: houses["logsvc"].url_of("bot") is None)


async def test_a_token_that_lacks_a_right_is_told_with_the_command_that_mends_it(agent: ConsulAgent) -> None:
    tokens = await asyncio.to_thread(documented_tokens, agent)
    environ = {"CONSUL_HTTP_ADDR": agent.address, "CONSUL_HTTP_TOKEN": tokens["bridge"]}
    mistaken = directory(agent.address, CONSUL_HTTP_TOKEN=tokens["bridge"])
    with capture_logs() as logged:
        async with watching(mistaken):
            await mistaken.register("bot", 9102)
    [told] = [line for line in logged if line["event"] == "consul_refused"]
    assert told["needs"] == "service:write for bot"
    assert "consul/README.md" in told["mend"]
    [finding] = await check_consul(environ, ["bot"])
    assert finding.verdict is Verdict.BAD
    assert "service:write for bot" in finding.found
    assert "service:write for bridge" in str(await check_consul({"CONSUL_HTTP_ADDR": agent.address}, ["bridge"]))
    unknown = await check_consul({**environ, "CONSUL_HTTP_TOKEN": "5f6e7d8c-0000-4000-8000-0000000000ff"})
    assert "does not know the token" in unknown[0].found
    mended = secret(await asyncio.to_thread(run, agent, finding.mend.partition("   ")[0]))
    assert [one.verdict for one in await check_consul({**environ, "CONSUL_HTTP_TOKEN": mended}, ["bot"])] == [
        Verdict.OK
    ]
    for text in (str(logged), str(finding)):
        assert not any(token in text for token in tokens.values())


def test_an_agent_takes_the_definitions_as_they_are() -> None:
    files = [str(CONSUL), str(CONSUL / "connect")]
    done = subprocess.run(
        [tool("consul"), "validate", *files], capture_output=True, text=True, timeout=READY_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_sidecars_carry_calls_between_services_that_may_call_each_other(
    agent: ConsulAgent, tmp_path: Path
) -> None:
    """The example's definitions on other ports, Consul's own sidecars, real certificates."""
    tokens = await asyncio.to_thread(documented_tokens, agent)
    async with AsyncExitStack() as stack:
        serving = {service: await stack.enter_async_context(replica()) for service in tokens}
        reached: dict[tuple[str, str], int] = {}
        for service, token in tokens.items():
            definition = elsewhere(service, serving[service], reached)
            file = tmp_path / f"{service}.json"
            file.write_text(json.dumps(definition))
            await asyncio.to_thread(run, agent, f"consul services register {file}", token)
            await stack.enter_async_context(sidecar(agent, service, token, tmp_path))
        assert set(reached) == {(caller, called) for caller, others in LOOKED_UP.items() for called in others}
        for command in commands("consul intention create"):
            await asyncio.to_thread(run, agent, command)
        for (caller, called), port in reached.items():
            await eventually(lambda: answers(port), what=f"{caller} to {called}")  # noqa: B023  # awaited in this round
        await asyncio.to_thread(run, agent, "consul intention delete bot logsvc")

        async def is_refused() -> bool:
            return not await answers(reached["bot", "logsvc"])

        await eventually(is_refused, what="the end of what was allowed")
        assert await answers(reached["bot", "bridge"])


def elsewhere(service: str, port: int, reached: dict[tuple[str, str], int]) -> Mapping[str, Any]:
    """A definition of the example on free ports of loopback. reached: gets where this service finds which other."""
    whole: dict[str, Any] = json.loads((CONSUL / "connect" / f"{service}.json").read_text())
    mine = whole["service"]
    beside = mine["connect"]["sidecar_service"]
    mine["checks"] = [{**mine["checks"][0], "http": mine["checks"][0]["http"].replace(str(mine["port"]), str(port))}]
    mine["port"], beside["port"] = port, free_port()
    beside["checks"][0]["tcp"] = f"127.0.0.1:{beside['port']}"
    proxy = beside.setdefault("proxy", {})
    proxy["config"] = {"bind_address": "127.0.0.1"}
    for upstream in proxy.get("upstreams", []):
        upstream["local_bind_port"] = reached[service, upstream["destination_name"]] = free_port()
    return whole


@asynccontextmanager
async def sidecar(agent: ConsulAgent, service: str, token: str, folder: Path) -> AsyncGenerator[None]:
    [command] = commands("consul connect proxy")
    child = start(
        Command(
            name=f"{service}-sidecar",
            argv=[tool("consul"), *shlex.split(command)[1:-1], service],
            log_file=folder / f"{service}-sidecar.log",
            env={"PATH": os.environ["PATH"], "CONSUL_HTTP_ADDR": agent.address, "CONSUL_HTTP_TOKEN": token},
        )
    )
    try:
        yield
    finally:
        await child.stop()


async def answers(port: int) -> bool:
    async with httpx.AsyncClient(timeout=5) as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/health/ready")).text == "ready"
        except httpx.TransportError:
            return False
