"""Consul: reachable, and the token may read the agent."""

import asyncio

from tocsin.addresses import parse_agent
from tocsin.discovery import connect
from tocsin.doctor.environment import Unreadable, place, value
from tocsin.doctor.finding import Environ, Finding, bad, note, ok, warn

SECONDS = 4.0


async def check_consul(environ: Environ) -> list[Finding]:
    address = environ.get("CONSUL_HTTP_ADDR")
    if not address:
        return [note("Consul", "CONSUL_HTTP_ADDR is not set: services find one another by *_URL and *_PORT")]
    try:
        token = value(environ, "CONSUL_HTTP_TOKEN")
        client = connect(parse_agent(address), token, SECONDS)
    except Unreadable as error:
        return [bad("Consul", f"{error.name} {error}", f"check the file that {error.name} names")]
    except ValueError:
        return [bad("Consul", "CONSUL_HTTP_ADDR is no address", "export CONSUL_HTTP_ADDR=HOST:8500")]
    where = place(address)
    try:
        async with asyncio.timeout(SECONDS + 1):
            about = await asyncio.to_thread(client.agent.self)
        config = about["Config"]
    except Exception as error:  # noqa: BLE001  # python-consul and requests raise a dozen kinds; each is one of these two
        if type(error).__name__ in ("ACLPermissionDenied", "ACLDisabled"):
            return [
                bad(
                    "Consul",
                    f"{where} does not accept the token of CONSUL_HTTP_TOKEN",
                    "consul acl token read -self   shows whose it is; it needs service:write and agent:read",
                )
            ]
        return [
            warn(
                "Consul",
                f"no Consul answers at {where} ({type(error).__name__}); services go on without it",
                f"is it up? consul members -http-addr={where}   (or unset CONSUL_HTTP_ADDR)",
            )
        ]
    return [ok("Consul", f"{config['Version']} at {where}, datacenter {config['Datacenter']}")]
