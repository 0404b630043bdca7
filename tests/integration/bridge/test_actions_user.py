"""The Redis users: actions need exactly the rules that docs/actions.md gives, and reading still writes nothing."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bullmq.driver import make_states
from tests.eventually import eventually
from tests.integration.bridge.acting import done, may_act, send
from tests.integration.bridge.running import Bridge
from tests.integration.bridge.test_read_only import documented_rules, make_reader

PAGE = Path(__file__).parents[3] / "docs" / "actions.md"
SCRIPTS = ("reprocessJob-9", "promote-9", "removeJob-2", "pause-7")
"""BullMQ's, of the five actions."""
OF_THE_CLIENT = {"auth", "ping", "select", "client|setname", "evalsha", "script|load"}
OF_OURS = {"zscore", "hget"}
PUSHES = {"lpush", "rpush"}
"""What the scripts are told to call by their arguments."""


def action_rules() -> list[str]:
    """The rules that docs/actions.md gives for the actions' own Redis user."""
    found = re.search(r"`ACL SETUSER tocsin-actions (on >PASSWORD [^`]+)`", PAGE.read_text())
    assert found is not None
    return found[1].replace("PASSWORD", "acting").split()


def cluster_rules() -> list[str]:
    """The rules that docs/actions.md gives beyond these for a cluster."""
    found = re.search(r"\*\*On a cluster\*\* also `([^`]+)`", PAGE.read_text())
    assert found is not None
    return found[1].split()


async def make_actor(app: Any, redis_url: str, *without: str) -> str:
    """Make the user `actor`; return the URL it logs in with. without: commands it may not use."""
    await app.execute_command("ACL", "SETUSER", "actor", *(word for word in action_rules() if word not in without))
    return f"redis://actor:acting@{urlsplit(redis_url).netloc}/0"


def test_the_rules_are_what_the_scripts_call_and_no_more() -> None:
    called: set[str] = set()
    for script in SCRIPTS:
        text = files("bullmq").joinpath("commands", f"{script}.lua").read_text()
        called |= {word.lower() for word in re.findall(r"""rcall\(["']([A-Za-z]+)["']""", text)}
        called |= PUSHES if "rcall(pushCmd" in text else set()
    allowed = {word[1:] for word in action_rules() if word.startswith("+")}
    assert allowed == called | OF_THE_CLIENT | OF_OURS


async def test_every_action_runs_under_these_rules_and_reading_writes_nothing(
    bridge: Bridge, app: Any, redis_url: str
) -> None:
    await make_states(redis_url)
    bridge.environ["REDIS_URL"] = await make_reader(app, redis_url)
    may_act(bridge, await make_actor(app, redis_url))
    await bridge.start()
    await bridge.ready()
    await app.execute_command("ACL", "LOG", "RESET")
    for queue in ("states-v5", "states-v6", "states-paused-v5", "states-paused-v6"):
        if queue.endswith("v6"):
            await done(bridge, action="pause", queue=queue)
        await done(bridge, action="resume", queue=queue)
        failed = [job_id.decode() for job_id in await app.zrange(f"bull:{queue}:failed", 0, -1)]
        delayed = [job_id.decode() for job_id in await app.zrange(f"bull:{queue}:delayed", 0, -1)]
        parent = (await app.zrange(f"bull:{queue}:waiting-children", 0, 0))[0].decode()
        for action, job_ids in (("retry", failed[:2]), ("promote", delayed[:2]), ("remove", [*failed[2:4], parent])):
            assert (await done(bridge, action=action, queue=queue, job_ids=job_ids))["count"] == len(job_ids)
        dry = await done(bridge, action="retry", queue=queue, filter={"to": "2100-01-01T00:00:00Z"}, dry_run=True)
        assert dry["count"] == len(failed) - 4
    assert await app.acl_log() == []
    users = {line["user"] for line in await app.client_list() if str(line["name"]).startswith("tocsin-")}
    assert users == {"bridge", "actor"}
    reader = set(documented_rules())
    assert not {"+evalsha", "+zadd", "+hset", "+del"} & reader


async def test_a_rule_that_lacks_is_named(bridge: Bridge, app: Any, redis_url: str) -> None:
    await make_states(redis_url)
    may_act(bridge, await make_actor(app, redis_url, "+evalsha"))
    await bridge.start()
    await bridge.ready()
    job = (await app.zrange("bull:states-v6:failed", 0, 0))[0].decode()
    response = await send(bridge, action="retry", queue="states-v6", job_ids=[job])
    told = response.json()
    assert (response.status_code, told["error"]) == (503, "redis_unavailable")
    assert "evalsha" in told["message"]
    assert "docs/actions.md" in told["mend"]
    assert "acting" not in bridge.log

    async def is_logged() -> bool:
        return '"event": "action"' in bridge.log or '"event":"action"' in bridge.log

    await eventually(is_logged, what="the line of the request")
