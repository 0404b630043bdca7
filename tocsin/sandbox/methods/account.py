"""The bot itself: getMe and its command list."""

from typing import Any

import msgspec

from tocsin.sandbox.errors import bad_request
from tocsin.sandbox.hub import Sandbox
from tocsin.sandbox.params import Params
from tocsin.sandbox.records import PutCommands
from tocsin.sandbox.rules import read_commands

CHAT_SCOPES = ("chat", "chat_administrators", "chat_member")
SCOPES = ("default", "all_private_chats", "all_group_chats", "all_chat_administrators", *CHAT_SCOPES)


def get_me(sandbox: Sandbox, params: Params) -> dict[str, Any]:
    return sandbox.bot.as_telegram() | {
        "can_join_groups": True,
        "can_read_all_group_messages": not sandbox.options.has_privacy,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


def set_my_commands(sandbox: Sandbox, params: Params) -> bool:
    sandbox.commit(PutCommands(_scope(params), read_commands(params)))
    return True


def get_my_commands(sandbox: Sandbox, params: Params) -> list[dict[str, str]]:
    return sandbox.world.commands.get(_scope(params), [])


def delete_my_commands(sandbox: Sandbox, params: Params) -> bool:
    sandbox.commit(PutCommands(_scope(params), []))
    return True


def commands_for(sandbox: Sandbox, chat_id: int) -> list[dict[str, str]]:
    """The commands a person sees in a chat: the narrowest scope that has any. Languages are not looked at.

    Source: https://core.telegram.org/bots/api#determining-list-of-commands.
    """
    kind = "all_private_chats" if chat_id > 0 else "all_group_chats"
    for scope in (f"chat:{chat_id}", kind, "default"):
        if commands := sandbox.world.commands.get(f"{scope}/"):
            return commands
    return []


def _scope(params: Params) -> str:
    """Scope and language as one key: `default/`, `chat:1001/de`."""
    given = params.json("scope", "Can't parse BotCommandScope JSON object") or {"type": "default"}
    try:
        scope = msgspec.convert(given, dict[str, Any])
    except msgspec.ValidationError:
        raise bad_request("Can't parse BotCommandScope: BotCommandScope must be an Object") from None
    kind = scope.get("type")
    if kind not in SCOPES:
        raise bad_request("Can't parse BotCommandScope: Unsupported type specified")
    place = ""
    if kind in CHAT_SCOPES:
        chat_id = Params(scope).integer("chat_id")
        if not chat_id:
            raise bad_request("Can't parse BotCommandScope: Empty chat_id specified")
        place = f":{chat_id}"
    if kind == "chat_member":
        place += f":{Params(scope).integer('user_id')}"
    return f"{kind}{place}/{params.text('language_code')}"
