"""Small questions of one moment go out as one."""

import asyncio
from collections.abc import Sequence

import pytest

from bridge.errors import SourceUnavailable, TooSlow
from bridge.sources.bullmq.door import Command, Reply
from bridge.sources.bullmq.door.together import APART_SECONDS, SMALL, Together


class Redis:
    """Answers each command with its last word, once it may; notes how many came together."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.refused: dict[int, Exception] = {}
        """What is raised where a key is asked for."""

    async def ask(self, commands: Sequence[Command], *, timeout: float) -> list[Reply]:
        self.asked.append(len(commands))
        self.is_asked.set()
        await self.may_answer.wait()
        for key, error in self.refused.items():
            if ("GET", key) in commands:
                raise error
        return [command[-1] for command in commands]


def gets(*keys: int) -> list[Command]:
    return [("GET", key) for key in keys]


async def test_questions_of_one_moment_are_one_and_each_has_its_replies() -> None:
    redis = Redis()
    together = Together(redis.ask)
    assert await asyncio.gather(*map(together.ask, (gets(1), gets(2, 3), gets(4)))) == [[1], [2, 3], [4]]
    assert redis.asked == [4]
    assert await together.ask(gets(5)) == [5]
    assert redis.asked == [4, 1]


async def test_a_big_question_keeps_nobody_waiting() -> None:
    redis = Redis()
    together = Together(redis.ask)
    big = range(SMALL + 1)
    assert await asyncio.gather(together.ask(gets(*big)), together.ask(gets(7))) == [list(big), [7]]
    assert redis.asked == [len(big), 1]


async def test_who_gives_up_takes_no_reply_from_the_others() -> None:
    redis = Redis()
    redis.may_answer.clear()
    together = Together(redis.ask)
    first, second, early = (asyncio.create_task(together.ask(gets(key))) for key in (1, 2, 3))
    await asyncio.sleep(0)
    early.cancel()
    await redis.is_asked.wait()
    first.cancel()
    redis.may_answer.set()
    assert await second == [2]
    assert redis.asked == [2]
    for gone in (first, early):
        with pytest.raises(asyncio.CancelledError):
            await gone


async def test_where_nobody_waits_any_more_nothing_is_asked() -> None:
    redis = Redis()
    together = Together(redis.ask)
    task = asyncio.create_task(together.ask(gets(1)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert await together.ask(gets(2)) == [2]
    assert redis.asked == [1]


@pytest.mark.parametrize("error", [TooSlow("no answer"), SourceUnavailable("away"), ValueError("odd")])
async def test_what_fails_together_is_asked_by_each_for_itself(error: Exception) -> None:
    redis = Redis()
    redis.refused[1] = error
    together = Together(redis.ask)
    raised, answered = await asyncio.gather(together.ask(gets(1)), together.ask(gets(2)), return_exceptions=True)
    assert (raised, answered) == (error, [2])
    assert redis.asked == [2, 1, 1]


async def test_after_a_failure_everything_is_asked_apart_for_a_while() -> None:
    """What failed is asked again, by a lane that does not know better: nobody else is to wait for it."""
    redis, now = Redis(), [0.0]
    redis.refused[1] = TooSlow("no answer")
    together = Together(redis.ask, lambda: now[0])
    for _ in range(3):
        await asyncio.gather(together.ask(gets(1)), together.ask(gets(2)), return_exceptions=True)
    assert redis.asked == [2, 1, 1, 1, 1, 1, 1]
    now[0] += APART_SECONDS
    assert await asyncio.gather(together.ask(gets(2)), together.ask(gets(3))) == [[2], [3]]
    assert redis.asked[7:] == [2]
