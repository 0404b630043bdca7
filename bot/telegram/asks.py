"""What the library heard -> what a person asked of us: pure."""

from telegram import Message, Update

from bot.delivery.messages import Ask


def to_ask(update: Update, *, me: int, now: float, waited_seconds: float) -> Ask | None:
    """What a person said or pressed; None for what nobody said to us (joins, pins, channel posts).

    me: our own id: people answer one another too, and whatever is said in a forum's topic answers its first message.
    now: by Telegram's clock, seconds since 1970. waited_seconds: how long it may have waited for us: a press has no
    date of its own.

    A press on a message that Telegram no longer lets us see is answered all the same, with a new message.
    """
    query, message = update.callback_query, update.message
    if query is not None and query.data and query.message is not None:
        seen = query.message if isinstance(query.message, Message) and query.message.is_accessible else None
        return Ask(
            update_id=update.update_id,
            chat_id=query.message.chat.id,
            user_id=query.from_user.id,
            user_name=query.from_user.full_name,
            username=query.from_user.username or "",
            is_private=query.message.chat.type == "private",
            topic_id=_topic(seen) if seen else None,
            press=query.data,
            press_id=query.id,
            message_id=seen.message_id if seen else None,
            said_id=query.message.message_id,
            age_seconds=waited_seconds,
        )
    if message is not None and message.text and message.from_user is not None:
        answered = message.reply_to_message
        is_to_us = answered is not None and answered.from_user is not None and answered.from_user.id == me
        return Ask(
            update_id=update.update_id,
            chat_id=message.chat.id,
            user_id=message.from_user.id,
            user_name=message.from_user.full_name,
            username=message.from_user.username or "",
            is_private=message.chat.type == "private",
            text=message.text,
            topic_id=_topic(message),
            said_id=message.message_id,
            reply_to=answered.message_id if answered is not None and is_to_us else None,
            age_seconds=max(0.0, now - message.date.timestamp()),
            is_relayed=message.forward_origin is not None or message.via_bot is not None,
        )
    return None


def _topic(message: Message) -> int | None:
    return message.message_thread_id if message.is_topic_message else None
