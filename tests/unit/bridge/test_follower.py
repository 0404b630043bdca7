"""When the logs of running jobs are looked at."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.sources.bullmq.logs import follower
from bridge.sources.bullmq.logs.follower import Follower


@pytest.mark.parametrize(
    ("has_news", "took", "rest"),
    [
        (False, 0.001, 0.7),
        (False, 0.1, 0.7),
        (True, 0.001, 0.1),
        (True, 0.02, 0.4),
        (True, 0.1, 0.6),  # no later than without news
    ],
)
async def test_a_look_that_took_long_is_followed_by_a_longer_rest(
    monkeypatch: pytest.MonkeyPatch, has_news: bool, took: float, rest: float
) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(follower, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def look() -> None:
        clock.now += took

    tracked = SimpleNamespace(has_news=has_news, rest=look)
    one = Follower(cast(Any, None), cast(Any, None), cast(Any, None), cast(Any, tracked))
    assert one.seconds_left == 0
    await one.follow([])
    assert one.seconds_left == pytest.approx(rest if has_news else rest - took)
