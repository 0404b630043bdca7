"""Two bots that Postgres tells nothing, and one Telegram."""

import random
from types import SimpleNamespace
from typing import Any, cast

from bot.turns import LEASE_SECONDS, RENEW_SECONDS, Turns


def test_of_two_bots_that_know_nothing_one_polls_nearly_all_the_time() -> None:
    now, dice = [0.0], random.Random(1)
    bots: list[Turns] = []
    for _ in range(2):
        telegram = SimpleNamespace(polling=SimpleNamespace(conflict_at=None))
        parts: dict[str, Any] = dict.fromkeys(("database", "breakers", "health", "metrics"))
        bots.append(Turns(telegram=cast(Any, telegram), clock=lambda: now[0], dice=dice.random, **parts))
    polls: list[int] = []
    while now[0] < 3600:
        now[0] += RENEW_SECONDS
        polling = [one for one in bots if one.is_ours]
        if len(polling) == 2 and now[0] > LEASE_SECONDS:
            for one in polling:
                one.telegram.polling.conflict_at = now[0]
        for one in polling:
            one._give_way()  # pyright: ignore[reportPrivateUsage]  # what it asks Postgres is another test's
        polls.append(len(polling))
    assert polls.count(1) > 0.6 * len(polls)
    silent = longest = 0
    for count in polls:
        silent = 0 if count else silent + 1
        longest = max(longest, silent)
    assert longest * RENEW_SECONDS <= 60
