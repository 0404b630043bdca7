"""What Telegram refuses in a message: texts, buttons, commands. Pure; every refusal is an ApiError in its words."""

import re
from typing import Any

import msgspec

from tocsin.sandbox.errors import bad_request
from tocsin.sandbox.links import link_problem
from tocsin.sandbox.markup import parse_html
from tocsin.sandbox.params import Params, as_list, as_object
from tocsin.sandbox.text import Entity, is_unicode, normalise, utf16_length

MAX_TEXT = 4096
MAX_CAPTION = 1024
"""UTF-16 units after entities are parsed."""
MAX_SOURCE_BYTES = 1 << 15
MAX_CALLBACK_BYTES = 64
MAX_ANSWER = 200
MAX_BUTTONS = 100
MAX_COMMANDS = 100

CHAT_ACTIONS = frozenset(
    {
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "record_audio",
        "upload_audio",
        "upload_document",
        "choose_sticker",
        "find_location",
        "pick_up_location",
        "record_video_note",
        "upload_video_note",
        "cancel",
    }
)
_COMMAND = re.compile(r"[a-z0-9_]{1,32}\Z")
_OTHER_BUTTONS = ("switch_inline_query", "switch_inline_query_current_chat", "web_app", "login_url", "copy_text", "pay")


def read_text(params: Params) -> tuple[str, list[Entity]]:
    """The text of a message and its entities, trimmed and marked as Telegram would show them."""
    if not params.text("text"):
        raise bad_request("Message text is empty")
    text, entities = _formatted(params, "text", "entities")
    if not text:
        raise bad_request("Text must be non-empty")
    if utf16_length(text) > MAX_TEXT:
        raise bad_request("Message is too long")
    return text, entities


def read_caption(params: Params) -> tuple[str, list[Entity]]:
    """The caption of a file; may be empty."""
    text, entities = _formatted(params, "caption", "caption_entities")
    if utf16_length(text) > MAX_CAPTION:
        raise bad_request("Message caption is too long")
    return text, entities


def _formatted(params: Params, name: str, entities_name: str) -> tuple[str, list[Entity]]:
    source = params.text(name)
    if not is_unicode(source):
        raise bad_request("strings must be encoded in UTF-8")
    if len(source.encode()) > MAX_SOURCE_BYTES:
        raise bad_request("Text is too long")
    mode = params.text("parse_mode").lower()
    if mode == "html":
        parsed = parse_html(source)
        return normalise(parsed.text, parsed.entities)
    if mode in ("markdown", "markdownv2"):
        raise bad_request(f"the sandbox reads HTML, not {params.text('parse_mode')}")
    if mode not in ("", "none"):
        raise bad_request("Unsupported parse_mode")
    return normalise(source, _given_entities(params, entities_name))


def _given_entities(params: Params, name: str) -> list[Entity]:
    given = params.json(name, "can't parse entities JSON object")
    try:
        entities = msgspec.convert(given or [], list[Entity])
        return [each for each in entities if each["length"] > 0 and each["offset"] >= 0 and each["type"]]
    except (msgspec.ValidationError, KeyError, TypeError):
        raise bad_request("can't parse MessageEntity: wrong entity") from None


def read_keyboard(params: Params) -> dict[str, Any] | None:
    """The inline keyboard of a message; None if there is none. Keyboards below the input box are taken and ignored."""
    given = params.json("reply_markup", "Can't parse reply keyboard markup JSON object")
    if given is None:
        return None
    markup = as_object(given)
    if markup is None:
        raise bad_request("Object expected as reply markup")
    if markup.get("inline_keyboard") is None:
        return None
    rows = as_list(markup["inline_keyboard"])
    keyboard = [row for each in rows or [] if (row := as_list(each)) is not None]
    if rows is None or len(keyboard) < len(rows):
        raise bad_request('Field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays')
    buttons = [[_button(button) for button in row] for row in keyboard if row]
    if sum(len(row) for row in buttons) > MAX_BUTTONS:
        raise bad_request("reply markup is too long")
    return {"inline_keyboard": buttons} if buttons else None


def _button(button: Any) -> dict[str, Any]:
    fields = as_object(button)
    if fields is None:
        raise bad_request("Can't parse inline keyboard button: InlineKeyboardButton must be an Object")
    text, url, data = (fields.get(name) for name in ("text", "url", "callback_data"))
    if text is None:
        raise bad_request("Can't parse inline keyboard button: Can't find field \"text\"")
    for name, value in (("text", text), ("url", url), ("callback_data", data)):
        if value is not None and not isinstance(value, str):
            raise bad_request(f'Can\'t parse inline keyboard button: Field "{name}" must be of type String')
    if not text.strip():
        raise bad_request("Inline keyboard button text must be non-empty")
    if url:
        if problem := link_problem(url):
            raise bad_request(f"Inline keyboard button URL '{url}' is invalid: {problem}")
        return {"text": text, "url": url}
    if data:
        if len(data.encode()) > MAX_CALLBACK_BYTES:
            raise bad_request("BUTTON_DATA_INVALID")
        return {"text": text, "callback_data": data}
    for name in _OTHER_BUTTONS:
        if name in fields:
            return {"text": text, name: fields[name]}
    raise bad_request("Can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")


def read_commands(params: Params) -> list[dict[str, str]]:
    """The list given to setMyCommands."""
    given = params.json("commands", "Can't parse commands JSON object")
    if given is None:
        return []
    try:
        commands = msgspec.convert(given, list[dict[str, str]])
        pairs = [(each["command"].strip().removeprefix("/"), each["description"].strip()) for each in commands]
    except (msgspec.ValidationError, KeyError):
        raise bad_request("Can't parse BotCommand: expected an Array of BotCommand") from None
    if len(pairs) > MAX_COMMANDS:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    for command, description in pairs:
        if not command:
            raise bad_request("Command must be non-empty")
        if len(command) > 32:
            raise bad_request("Command length must not exceed 32")
        if not _COMMAND.match(command):
            raise bad_request("BOT_COMMAND_INVALID")
        if not description:
            raise bad_request("Command description must be non-empty")
        if len(description) > 256:
            raise bad_request("Command description length must not exceed 256")
    return [{"command": command, "description": description} for command, description in pairs]
