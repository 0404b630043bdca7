"""How things look in a chat: pure functions from data to Telegram's HTML. The words are in bot/texts.py."""
