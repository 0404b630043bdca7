"""What rings is a final failure seen live; what Tocsin finds out by looking never does."""

import pytest

from bot.rules import is_final_failure
from tests.unit.bot.events import failed
from tocsin.events import State


def test_failure_that_was_rebuilt_rings_like_any_other() -> None:
    assert is_final_failure(failed(rebuilt=True))


@pytest.mark.parametrize("event", ["reconciled", "gone", "gap", "stream-reset", "retries-exhausted"])
@pytest.mark.parametrize("state", [State.FAILED, State.REMOVED, State.UNKNOWN])
def test_what_tocsin_says_of_itself_never_rings(event: str, state: State) -> None:
    assert not is_final_failure(failed(event=event, state=state))
