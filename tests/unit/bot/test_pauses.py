"""How long a message, or a chat, waits after a try in vain."""

from collections.abc import Callable

import pytest

from bot.delivery.pacing import Pacer
from bot.delivery.sending import pause_after, pause_gone
from bot.errors import Unanswered, Unreachable

PAUSES: dict[str, Callable[[int], float]] = {
    "refused": lambda tries: pause_after(tries, Unreachable("refused")),
    "lost": lambda tries: pause_after(tries, Unanswered("lost")),
    "late": lambda tries: pause_after(tries, TimeoutError()),
    "gone": pause_gone,
}


@pytest.mark.parametrize("kind", PAUSES)
def test_pauses_grow_to_a_bound(kind: str) -> None:
    pauses = [PAUSES[kind](tries) for tries in range(1, 2000)]
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1] <= 3600


def test_they_are_longer_where_each_try_may_be_a_copy() -> None:
    assert PAUSES["refused"](99) < PAUSES["lost"](99) == PAUSES["late"](99)


def test_a_chat_long_at_rest_is_as_one_never_spoken_to() -> None:
    pacer = Pacer()
    for chat in (7, -7):
        for _ in range(30):
            pacer.spoke(chat, 0)
    pacer.freeze(7, 1000, 0)
    assert set(pacer.resting(500)) == {7}
    assert pacer.resting(1500) == {}
    assert pacer.wait(7, 1500) == pacer.wait(-7, 1500) == 0
