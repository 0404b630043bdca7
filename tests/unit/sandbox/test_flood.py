"""Flood limits on a clock of the test's own."""

import pytest

from tocsin.sandbox.errors import ApiError
from tocsin.sandbox.flood import FloodControl, FloodLimits, Window


def retry_after(control: FloodControl, chat_id: int, now: float) -> int:
    """Seconds to wait; 0 = accepted."""
    try:
        control.take(chat_id, now)
    except ApiError as error:
        return (error.parameters or {})["retry_after"]
    return 0


def test_a_group_takes_twenty_a_minute():
    control = FloodControl(FloodLimits())
    assert [retry_after(control, -5, second) for second in range(20)] == [0] * 20
    assert retry_after(control, -5, 20) == 40
    assert retry_after(control, -6, 20) == 0
    assert retry_after(control, -5, 59.5) == 1
    assert retry_after(control, -5, 60) == 0


def test_a_refused_message_does_not_count():
    control = FloodControl(FloodLimits(private=Window(1, 10)))
    assert [retry_after(control, 5, now) for now in (0, 4, 9, 10)] == [0, 6, 1, 0]


def test_all_chats_together_have_a_limit():
    control = FloodControl(FloodLimits(overall=Window(2, 1)))
    assert [retry_after(control, chat, 0) for chat in (1, 2, 3)] == [0, 0, 1]


@pytest.mark.parametrize(("text", "window"), [("20/60", Window(20, 60)), ("30", Window(30, 1)), ("off", Window(0, 1))])
def test_limits_are_written_count_per_seconds(text: str, window: Window):
    assert Window.parse(text) == window


@pytest.mark.parametrize("text", ["", "x", "0/60", "5/0", "-1/2"])
def test_other_limits_are_refused(text: str):
    with pytest.raises(ValueError, match=r".+"):
        Window.parse(text)
