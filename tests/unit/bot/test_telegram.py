"""What Telegram tells us of what people do."""

import pytest
from telegram import Update

from bot.telegram import to_ask


@pytest.mark.parametrize(("date", "message_id"), [(1_800_000_000, 9), (0, None)])
def test_a_press_is_heard_though_telegram_no_longer_shows_its_message(date: int, message_id: int | None) -> None:
    ann, chat = {"id": 7, "first_name": "Ann", "is_bot": False}, {"id": 7, "type": "private", "first_name": "Ann"}
    message = {"message_id": 9, "date": date, "chat": chat}
    press = {"id": "p", "from": ann, "chat_instance": "c", "data": "incidents:0", "message": message}
    update = Update.de_json({"update_id": 1, "callback_query": press}, None)
    ask = to_ask(update)
    assert ask is not None
    assert (ask.chat_id, ask.press, ask.press_id, ask.message_id) == (7, "incidents:0", "p", message_id)
