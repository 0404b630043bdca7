"""What Telegram tells us of what people do."""

from typing import Any

import pytest
from telegram import Update

from bot.telegram import to_ask

ME, ANN = 42, {"id": 7, "first_name": "Ann", "is_bot": False}


@pytest.mark.parametrize(("date", "message_id"), [(1_800_000_000, 9), (0, None)])
def test_a_press_is_heard_though_telegram_no_longer_shows_its_message(date: int, message_id: int | None) -> None:
    chat = {"id": 7, "type": "private", "first_name": "Ann"}
    message = {"message_id": 9, "date": date, "chat": chat}
    press = {"id": "p", "from": ANN, "chat_instance": "c", "data": "incidents:0", "message": message}
    update = Update.de_json({"update_id": 1, "callback_query": press}, None)
    ask = to_ask(update, me=ME, now=date)
    assert ask is not None
    assert (ask.chat_id, ask.press, ask.press_id, ask.message_id) == (7, "incidents:0", "p", message_id)


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
    ask = to_ask(Update.de_json({"update_id": 1, "message": said}, None), me=ME, now=1_800_000_030)
    assert ask is not None
    assert (ask.reply_to, ask.topic_id, ask.age_seconds) == (reply_to, 5, 30)
