"""The door to Telegram: the only room that knows python-telegram-bot.

Sending needs no polling and no start-up: a message can go out while getUpdates fails, and the other way round.
"""

from bot.telegram.account import TELEGRAM, Telegram
from bot.telegram.polling import Polling

__all__ = ["TELEGRAM", "Polling", "Telegram"]
