"""The bot, killing itself with SIGKILL at one point: `dying_bot.py POINT`.

It dies when it meets a failure whose error type is POINT, so several deaths can follow one another on one house.
"""

import os
import signal
import sys
from typing import Any

from bot.__main__ import main
from bot.delivery.sending import Delivery
from bot.incidents.alerts import Alerts
from bot.store import outbox
from bot.telegram import Telegram

POINTS = ("before-commit", "after-commit", "before-send", "after-send", "before-edit", "after-edit")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_transaction(point: str) -> None:
    """After incidents and messages were written, before the commit."""
    record: Any = Alerts.record

    async def recorded(self: Alerts, session: Any, tallies: Any, **more: Any) -> int:
        rung: int = await record(self, session, tallies, **more)
        await session.flush()
        if any(one.last.error_type == point for one in tallies.values()):
            die()
        return rung

    Alerts.record = recorded


def die_after_commit(point: str) -> None:
    """Committed, and nobody has heard of it yet."""
    seen: list[bool] = []
    ring: Any = outbox.put
    wake = Delivery.wake

    def put(session: Any, about: Any, to: Any, text: str, *rest: Any, **more: Any) -> None:
        seen.append(point in text)
        ring(session, about, to, text, *rest, **more)

    def woken(self: Delivery) -> None:
        if any(seen):
            die()
        wake(self)

    import bot.incidents.alerts

    bot.incidents.alerts.put = put
    Delivery.wake = woken


def die_speaking(point: str, method: str, *, after: bool) -> None:
    """Around a call to Telegram; after = Telegram has accepted it, and we have not committed that."""
    call: Any = getattr(Telegram, method)

    async def spoken(self: Telegram, *given: Any, **more: Any) -> Any:
        is_last_word = any(point in str(one) for one in given)
        if is_last_word and not after:
            die()
        answer = await call(self, *given, **more)
        if is_last_word:
            die()
        return answer

    setattr(Telegram, method, spoken)


if __name__ == "__main__":
    wanted = sys.argv[1]
    if wanted == "before-commit":
        die_in_transaction(wanted)
    elif wanted == "after-commit":
        die_after_commit(wanted)
    else:
        moment, _, method = wanted.partition("-")
        die_speaking(wanted, method, after=moment == "after")
    sys.argv = ["bot"]
    sys.exit(main())
