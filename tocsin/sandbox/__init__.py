"""A stand-in for Telegram: the Bot API on loopback, and a chat page in the browser.

Comes in: a bot's calls under `/bot<token>/METHOD`, as python-telegram-bot sends them, and what people write and press
on the page or through `/sandbox/messages` and `/sandbox/callbacks`. Goes out: Telegram's answers, with its limits and
its error texts, so that what works here works there. What the sandbox does not know it refuses with 404, never with an
empty success.

A call that was answered `ok` is in the chat exactly once; the fault `drop` loses the answer, never the message. With a
data folder, chats, updates and message ids survive a restart and a kill -9 of the process (not a power cut); without
one, everything is gone at the end. A message id is never given twice. Webhooks are remembered, never called: nothing
here connects to anything.
"""
