"""The login that actions write with: let in by every process that takes writes, and allowed BullMQ's scripts.

Nothing is written: the script that is called does not exist.
"""

import asyncio
import re

from redis.exceptions import AskError, AuthenticationError, MovedError, NoPermissionError, NoScriptError, RedisError

from tocsin.doctor.environment import RedisSource, place
from tocsin.doctor.finding import Finding, bad, ok
from tocsin.doctor.redis_processes import Process, connected, find_processes

NO_SCRIPT = "0" * 40
SECONDS = 4.0


async def check_actions(acting: RedisSource) -> list[Finding]:
    """One finding for all of its processes if they are well, else one for each that is not."""
    found = await find_processes(acting)
    if isinstance(found, Finding):
        return [found]
    each = await asyncio.gather(*(_try(process) for process in found))
    wrong = [finding for finding in each if finding is not None]
    return wrong or [ok(f"Redis {acting.name}", f"user {acting.user} may call BullMQ's scripts")]


async def _try(process: Process) -> Finding | None:
    check, source, where = process.check, process.source, place(process.source.url)
    try:
        async with asyncio.timeout(SECONDS), connected(source) as client:
            await client.execute_command("EVALSHA", NO_SCRIPT, 1, f"{source.prefix}:tocsin-doctor:absent")
    except (NoScriptError, MovedError, AskError):
        return None  # the user's rights are looked at before
    except NoPermissionError as error:
        command = re.search(r"'([a-z|]+)'", str(error))
        missing = f"+{command[1]}" if command else f"~{source.prefix}:*"
        return bad(
            check,
            f"user {source.user} lacks {missing}",
            f"redis-cli -u redis://ADMIN@{where} ACL SETUSER {source.user} {missing}   "
            "and whatever else docs/actions.md lists",
        )
    except AuthenticationError:
        return bad(
            check,
            f"{where} refused user {source.user}, or its password",
            "make the user of docs/actions.md on every process, or correct its login in " + source.setting,
        )
    except (ValueError, TypeError):  # its message quotes the address
        return bad(
            check, "its url is no address of a Redis", f"write redis://USER:PASSWORD@HOST:6379/0 in {source.setting}"
        )
    except (RedisError, OSError) as error:
        return bad(
            check,
            f"no Redis answers at {where} ({type(error).__name__})",
            f"is it up, and open to this machine? (address: {source.setting})",
        )
    return None
