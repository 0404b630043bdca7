"""Consul: reachable, and the token may register the services and look up those they call. Nothing is registered."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import httpx

from tocsin.addresses import Agent, parse_agent
from tocsin.doctor.environment import Unreadable, place, value
from tocsin.doctor.finding import Environ, Finding, bad, note, ok, warn

SECONDS = 4.0
LOOKED_UP = {"bridge": (), "logsvc": ("bot", "bridge"), "bot": ("logsvc", "bridge")}
"""Whom each service finds through Consul."""


class Right(NamedTuple):
    """What a token may have to have, as Consul's rules name it."""

    resource: str
    access: str
    name: str

    @property
    def rule(self) -> str:
        return f"{self.resource}:{self.access} for {self.name}"


async def check_consul(environ: Environ, services: Sequence[str] = tuple(LOOKED_UP)) -> list[Finding]:
    """services: whose rights are looked for; each may have a token of its own."""
    address = environ.get("CONSUL_HTTP_ADDR")
    if not address:
        return [note("Consul", "CONSUL_HTTP_ADDR is not set: services find one another by *_URL and *_PORT")]
    try:
        token = value(environ, "CONSUL_HTTP_TOKEN")
        agent = parse_agent(address)
    except Unreadable as error:
        return [bad("Consul", f"{error.name} {error}", f"check the file that {error.name} names")]
    except ValueError:
        return [bad("Consul", "CONSUL_HTTP_ADDR is no address", "export CONSUL_HTTP_ADDR=HOST:8500")]
    where = place(address)
    try:
        async with _client(agent, token) as client:
            (await client.get("/v1/status/leader")).raise_for_status()
            version = await _version(client)
            refused = await _refused(client, services)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, KeyError, TypeError) as error:
        return [
            warn(
                "Consul",
                f"no Consul answers at {where} ({type(error).__name__}); services go on without it",
                f"is it up? consul members -http-addr={where}   (or unset CONSUL_HTTP_ADDR)",
            )
        ]
    identities = " ".join(f"-service-identity {service}" for service in services)
    mend = f"consul acl token create {identities}   and hand its SecretID over as CONSUL_HTTP_TOKEN"
    if refused is None:
        return [bad("Consul", f"{where} does not know the token of CONSUL_HTTP_TOKEN", mend)]
    if refused:
        whose = "the token of CONSUL_HTTP_TOKEN" if token else "whoever has no token (CONSUL_HTTP_TOKEN is not set)"
        return [bad("Consul", f"{whose} may not, at {where}: {', '.join(right.rule for right in refused)}", mend)]
    return [ok("Consul", f"{version} at {where}")]


def _client(agent: Agent, token: str | None) -> httpx.AsyncClient:
    headers = {"X-Consul-Token": token} if token else {}
    return httpx.AsyncClient(base_url=f"{agent.scheme}://{agent.host}:{agent.port}", headers=headers, timeout=SECONDS)


async def _version(client: httpx.AsyncClient) -> str:
    """Consul's version and datacenter, if the token may read the agent: services need not."""
    answer = await client.get("/v1/agent/self")
    if answer.status_code == 403:
        return "a Consul that tells this token no version"
    config: dict[str, Any] = answer.raise_for_status().json()["Config"]
    return f"{config['Version']}, datacenter {config['Datacenter']},"


async def _refused(client: httpx.AsyncClient, services: Sequence[str]) -> list[Right] | None:
    """The rights that are missing; None for a token that Consul does not know.

    Asks as Consul's own page does, which changes nothing. Where that cannot be asked, or ACLs are off, none is.
    """
    read = {name for service in services for name in LOOKED_UP[service]} - set(services)
    rights = [Right("service", "write", name) for name in services]
    rights += [Right("service", "read", name) for name in sorted(read)]
    rights += [Right("node", "read", "every node")] if any(LOOKED_UP[service] for service in services) else []
    asked = [{"Resource": one.resource, "Access": one.access, "Segment": one.name} for one in rights]
    answer = await client.post("/v1/internal/acl/authorize", content=json.dumps(asked))
    if answer.status_code == 403:
        return None
    if answer.status_code != 200:
        return []
    allowed: list[dict[str, Any]] = answer.json()
    return [right for right, said in zip(rights, allowed, strict=True) if not said["Allow"]]
