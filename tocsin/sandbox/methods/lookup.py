"""Finding the chat, the topic and the message a call means, with Telegram's refusals when they are not there."""

from tocsin.sandbox.chats import Chat
from tocsin.sandbox.errors import bad_request, forbidden, migrated
from tocsin.sandbox.hub import Sandbox
from tocsin.sandbox.params import Params, as_object
from tocsin.sandbox.records import Message

GENERAL_TOPIC_ID = 1
"""The topic "General" has this id inside Telegram; bots name it by leaving message_thread_id out."""


def find_chat(sandbox: Sandbox, params: Params, *, to_write: bool = True) -> Chat:
    """The chat of `chat_id`; refuses a chat the bot may not write to (or not read, if it is not to_write)."""
    wanted = params.text("chat_id").strip()
    if not wanted:
        raise bad_request("chat_id is empty")
    if wanted.startswith("@"):
        named = [chat for chat in sandbox.world.chats.values() if chat.username == wanted[1:]]
        chat = named[0] if named else None
    else:
        chat = sandbox.world.chats.get(params.integer("chat_id"))
    if chat is None:
        raise bad_request("chat not found")
    if chat.migrated_to is not None and to_write:
        raise migrated(chat.migrated_to)
    if chat.bot_status == "kicked" and (to_write or chat.type == "supergroup"):
        if chat.type == "private":
            raise forbidden("bot was blocked by the user")
        raise forbidden(f"bot was kicked from the {chat.type} chat")
    if chat.bot_status == "left":
        raise forbidden(f"bot is not a member of the {chat.type} chat")
    return chat


def find_thread(chat: Chat, params: Params) -> int | None:
    """The open forum topic of `message_thread_id`; None for "General" and for chats without topics."""
    thread_id = params.integer("message_thread_id")
    if not thread_id:
        return None
    if not chat.is_forum:
        if chat.type == "private":
            raise bad_request("message thread not found")
        return None
    topic = chat.topics.get(thread_id)
    if topic is None or thread_id == GENERAL_TOPIC_ID:
        raise bad_request("message thread not found")
    if topic.is_closed and chat.bot_status != "administrator":
        raise bad_request("TOPIC_CLOSED")
    return thread_id


def find_message(sandbox: Sandbox, chat: Chat, params: Params, what: str) -> Message:
    """The message of `message_id`; refuses with `<what> not found`."""
    message_id = params.integer("message_id")
    if message_id <= 0:
        raise bad_request("Message identifier is not specified")
    message = sandbox.world.messages[chat.id].get(message_id)
    if message is None:
        raise bad_request(f"{what} not found")
    return message


def find_reply(sandbox: Sandbox, chat: Chat, params: Params) -> Message | None:
    """The message that is answered, as it stands inside another message: without a reply of its own."""
    wanted = as_object(params.json("reply_parameters", "Can't parse reply parameters JSON object"))
    given = Params(wanted or {"message_id": params.integer("reply_to_message_id")})
    message_id = given.integer("message_id")
    if not message_id:
        return None
    message = sandbox.world.messages[chat.id].get(message_id)
    if message is None:
        if given.flag("allow_sending_without_reply") or params.flag("allow_sending_without_reply"):
            return None
        raise bad_request("message to be replied not found")
    return {name: value for name, value in message.items() if name != "reply_to_message"}
