"""Sending, editing and deleting messages."""

from typing import Any

import msgspec

from tocsin.sandbox.chats import Chat
from tocsin.sandbox.errors import NOT_MODIFIED, bad_request
from tocsin.sandbox.hub import Sandbox
from tocsin.sandbox.methods.lookup import find_chat, find_message, find_reply, find_thread
from tocsin.sandbox.params import Params, as_object
from tocsin.sandbox.records import DropMessage, Message, PutMessage
from tocsin.sandbox.rules import read_caption, read_keyboard, read_text
from tocsin.sandbox.text import Entity

DELETABLE_SECONDS = 48 * 3600
"""A bot can delete a message no longer. Source: https://core.telegram.org/bots/api#deletemessage."""


def send_message(sandbox: Sandbox, params: Params) -> Message:
    chat = find_chat(sandbox, params)
    text, entities = read_text(params)
    message = compose(sandbox, chat, params)
    message |= {"text": text} | _marked("entities", _with_people(sandbox, entities)) | _preview(params)
    return send(sandbox, message, params)


def compose(sandbox: Sandbox, chat: Chat, params: Params) -> Message:
    """The frame of a message by the bot: id, sender, topic, what it answers, buttons."""
    thread_id = find_thread(chat, params)
    reply = find_reply(sandbox, chat, params)
    keyboard = read_keyboard(params)
    message = sandbox.new_message(chat, sandbox.bot)
    if thread_id is not None:
        message |= {"message_thread_id": thread_id, "is_topic_message": True}
    if reply is not None:
        message["reply_to_message"] = reply
    if keyboard is not None:
        message["reply_markup"] = keyboard
    return message


def send(sandbox: Sandbox, message: Message, params: Params) -> Message:
    sandbox.commit(PutMessage(message, params.flag("disable_notification")))
    return message


def edit_message_text(sandbox: Sandbox, params: Params) -> Message:
    """New text and buttons; buttons that are not given again are removed."""
    message = editable(sandbox, params)
    if "text" not in message:
        raise bad_request("There is no text in the message to edit")
    text, entities = read_text(params)
    marked = _marked("entities", _with_people(sandbox, entities))
    return edit(sandbox, message, {"text": text} | marked | _preview(params), params)


def edit_message_caption(sandbox: Sandbox, params: Params) -> Message:
    message = editable(sandbox, params)
    if "text" in message:
        raise bad_request("There is no caption in the message to edit")
    caption, entities = read_caption(params)
    return edit(sandbox, message, marked_caption(caption, entities), params)


def edit_message_reply_markup(sandbox: Sandbox, params: Params) -> Message:
    message = editable(sandbox, params)
    kept = {name: message[name] for name in _CONTENT if name in message}
    return edit(sandbox, message, kept, params)


def delete_message(sandbox: Sandbox, params: Params) -> bool:
    chat = find_chat(sandbox, params)
    message = find_message(sandbox, chat, params, "message to delete")
    is_own = message["from"]["id"] == sandbox.bot.id
    is_allowed = is_own or chat.type == "private" or chat.bot_status == "administrator"
    if not is_allowed or sandbox.clock() - message["date"] > DELETABLE_SECONDS:
        raise bad_request("message can't be deleted")
    sandbox.commit(DropMessage(chat.id, message["message_id"]))
    return True


def delete_messages(sandbox: Sandbox, params: Params) -> bool:
    """Delete up to 100; those that cannot be found are passed over."""
    chat = find_chat(sandbox, params)
    given = params.json("message_ids", "Can't parse message_ids JSON object")
    try:
        message_ids = msgspec.convert(given or [], list[int], strict=False)
    except msgspec.ValidationError:
        raise bad_request("Message identifier must be a Number") from None
    if not message_ids:
        raise bad_request("Message identifiers are not specified")
    if len(message_ids) > 100:
        raise bad_request("Too many message identifiers specified")
    for message_id in message_ids:
        if message_id in sandbox.world.messages[chat.id]:
            sandbox.commit(DropMessage(chat.id, message_id))
    return True


def marked_caption(caption: str, entities: list[Entity]) -> dict[str, Any]:
    return {"caption": caption} | _marked("caption_entities", entities) if caption else {}


_CONTENT = ("text", "entities", "caption", "caption_entities", "link_preview_options")
_MEDIA = ("photo", "document")


def editable(sandbox: Sandbox, params: Params) -> Message:
    if params.text("inline_message_id"):
        raise bad_request("the sandbox has no inline messages")
    chat = find_chat(sandbox, params)
    message = find_message(sandbox, chat, params, "message to edit")
    if message["from"]["id"] != sandbox.bot.id:
        raise bad_request("message can't be edited")
    return message


def edit(sandbox: Sandbox, message: Message, content: dict[str, Any], params: Params) -> Message:
    """Change a message to this content; its file stays unless there is another."""
    keyboard = read_keyboard(params)
    replaced = (*_CONTENT, "reply_markup", *(_MEDIA if any(name in content for name in _MEDIA) else ()))
    edited = {name: value for name, value in message.items() if name not in replaced} | content
    if keyboard is not None:
        edited["reply_markup"] = keyboard
    is_same = all(edited.get(name) == message.get(name) for name in (*_CONTENT, *_MEDIA))
    if is_same and edited.get("reply_markup") == message.get("reply_markup"):
        raise bad_request(NOT_MODIFIED)
    if not is_same:
        edited["edit_date"] = int(sandbox.clock())  # new buttons alone do not make a message "edited"
    sandbox.commit(PutMessage(edited))
    return edited


def _with_people(sandbox: Sandbox, entities: list[Entity]) -> list[Entity]:
    """Mentions by id as Telegram tells them: with all of the person; of somebody it does not know nothing is left."""
    told: list[Entity] = []
    for one in entities:
        if one["type"] != "text_mention":
            told.append(one)
        elif person := sandbox.world.users.get(one.get("user", {}).get("id", 0)):
            told.append({**one, "user": person.as_telegram()})
    return told


def _marked(name: str, entities: list[Entity]) -> dict[str, Any]:
    return {name: entities} if entities else {}


def _preview(params: Params) -> dict[str, Any]:
    given = params.json("link_preview_options", "Can't parse link preview options JSON object")
    if given is not None and as_object(given) is None:
        raise bad_request("Object expected as link preview options")
    return {"link_preview_options": given} if given else {}
