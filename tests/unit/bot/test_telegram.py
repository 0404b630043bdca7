"""What Telegram tells us of what people do."""

import math
import time
from typing import Any

import pytest
from telegram import Update

from bot.telegram.asks import to_ask
from bot.telegram.polling import MOST_UPDATES, Polling

ME, ANN = 42, {"id": 7, "first_name": "Ann", "is_bot": False}


@pytest.mark.parametrize(("date", "message_id"), [(1_800_000_000, 9), (0, None)])
def test_a_press_is_heard_though_telegram_no_longer_shows_its_message(date: int, message_id: int | None) -> None:
    chat = {"id": 7, "type": "private", "first_name": "Ann"}
    message = {"message_id": 9, "date": date, "chat": chat}
    press = {"id": "p", "from": ANN, "chat_instance": "c", "data": "incidents:0", "message": message}
    update = Update.de_json({"update_id": 1, "callback_query": press}, None)
    ask = to_ask(update, me=ME, now=date, waited_seconds=0.5)
    assert ask is not None
    assert (ask.chat_id, ask.press, ask.press_id, ask.message_id) == (7, "incidents:0", "p", message_id)
    assert ask.age_seconds == 0.5


@pytest.mark.parametrize(("author", "reply_to"), [({"id": ME, "first_name": "Tocsin", "is_bot": True}, 5), (ANN, None)])
def test_only_an_answer_to_us_is_one_to_us(author: dict[str, Any], reply_to: int | None) -> None:
    """People answer one another, and all that is said in a topic answers its first message."""
    forum = {"id": -1_000_000_000_001, "type": "supergroup", "title": "ops", "is_forum": True}
    said: dict[str, Any] = {
        "message_id": 9,
        "date": 1_800_000_000,
        "chat": forum,
        "from": ANN,
        "text": "see the card provider",
    }
    said |= {"message_thread_id": 5, "is_topic_message": True}
    said["reply_to_message"] = {"message_id": 5, "date": 1_800_000_000, "chat": forum, "from": author}
    ask = to_ask(Update.de_json({"update_id": 1, "message": said}, None), me=ME, now=1_800_000_030, waited_seconds=999)
    assert ask is not None
    assert (ask.reply_to, ask.topic_id, ask.age_seconds) == (reply_to, 5, 30)


def test_an_update_is_as_old_as_the_last_time_telegram_had_nothing_left_for_us() -> None:
    now = time.monotonic()
    polling = Polling(lambda: None)
    polling.give(range(1, MOST_UPDATES + 1), now - 600)  # it may have kept them for a day, and more of them
    polling.give([MOST_UPDATES + 1], now - 500)
    assert [polling.age_at_most(one) for one in (1, MOST_UPDATES, MOST_UPDATES + 1)] == [math.inf] * 3
    polling.give([], now - 400)
    polling.give([MOST_UPDATES + 2], now - 10)  # Telegram did not answer for six minutes
    polling.give([MOST_UPDATES + 3], now - 1)
    ages = [polling.age_at_most(MOST_UPDATES + one) for one in (2, 3)]
    assert 400 <= ages[0] < 430
    assert 10 <= ages[1] < 40
    assert polling.age_at_most(MOST_UPDATES + 4) == math.inf
