"""What is sent and how: to Telegram at a pace it bears, and to channels beside it."""
