"""The clocks: ages and alerts compare times of Redis' clock with this machine's."""

import time
from collections.abc import Callable
from typing import Any

from redis.exceptions import ResponseError

from tocsin.doctor.finding import Finding, bad, ok, warn

WARN_SECONDS = 5.0
BAD_SECONDS = 60.0


async def check_clock(client: Any, check: str, *, now: Callable[[], float] = time.time) -> list[Finding]:
    """Compare now() with the clock of the Redis the client speaks to; no finding where it does not tell its time.

    What the answer's way may account for is taken off: a slow line is no wrong clock.
    """
    before = now()
    try:
        told = (await client.info("server")).get("server_time_usec")
    except ResponseError:
        return []
    after = now()
    if told is None:
        return []
    ahead = (before + after) / 2 - int(told) / 1e6
    apart = max(0.0, abs(ahead) - (after - before) / 2)
    if apart <= WARN_SECONDS:
        return [ok(f"{check} clock", f"within {WARN_SECONDS:g} s of this machine's")]
    finding = bad if apart > BAD_SECONDS else warn
    return [
        finding(
            f"{check} clock",
            f"this machine's clock is {apart:,.0f} s {'ahead of' if ahead > 0 else 'behind'} Redis': "
            "every age is wrong by that much, and old failures may ring, or new ones not",
            "see which is wrong (date -u here, redis-cli TIME there); there: timedatectl set-ntp true",
        )
    ]
