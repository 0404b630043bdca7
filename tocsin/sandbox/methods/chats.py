"""Looking at chats and their members, typing, and leaving."""

from typing import Any

from tocsin.sandbox.chats import Chat, member
from tocsin.sandbox.errors import bad_request
from tocsin.sandbox.hub import Sandbox
from tocsin.sandbox.methods.lookup import find_chat
from tocsin.sandbox.params import Params
from tocsin.sandbox.people import change_bot_status
from tocsin.sandbox.rules import CHAT_ACTIONS

_GIFTS = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")


def get_chat(sandbox: Sandbox, params: Params) -> dict[str, Any]:
    chat = find_chat(sandbox, params, to_write=False)
    return sandbox.world.describe(chat) | {
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(_GIFTS, False),
    }


def get_chat_member(sandbox: Sandbox, params: Params) -> dict[str, Any]:
    chat = find_chat(sandbox, params, to_write=False)
    user_id = params.integer("user_id")
    if user_id == sandbox.bot.id:
        return member(sandbox.bot, chat.bot_status)
    user = sandbox.world.users.get(user_id)
    if user is None:
        raise bad_request("PARTICIPANT_ID_INVALID")
    if chat.type == "private":
        return member(user, "member" if user_id == chat.id else "left")
    return member(user, chat.members.get(user_id, "left"))


def get_chat_member_count(sandbox: Sandbox, params: Params) -> int:
    chat = find_chat(sandbox, params, to_write=False)
    return 2 if chat.type == "private" else 1 + len(_present(chat))


def get_chat_administrators(sandbox: Sandbox, params: Params) -> list[dict[str, Any]]:
    chat = find_chat(sandbox, params, to_write=False)
    if chat.type == "private":
        raise bad_request("there are no administrators in the private chat")
    admins = [
        member(sandbox.world.users[user_id], status)
        for user_id, status in chat.members.items()
        if status in ("creator", "administrator")
    ]
    return [*admins, *([member(sandbox.bot, chat.bot_status)] if chat.bot_status == "administrator" else [])]


def send_chat_action(sandbox: Sandbox, params: Params) -> bool:
    chat = find_chat(sandbox, params)
    action = params.text("action").lower()
    if action not in CHAT_ACTIONS:
        raise bad_request("Wrong parameter action in request")
    sandbox.feed.publish({"type": "typing", "chat_id": chat.id, "action": action})
    return True


def leave_chat(sandbox: Sandbox, params: Params) -> bool:
    chat = find_chat(sandbox, params, to_write=False)
    if chat.type == "private":
        raise bad_request("chat member status can't be changed in private chats")
    change_bot_status(sandbox, chat, "left", by=sandbox.bot)
    return True


def _present(chat: Chat) -> list[int]:
    return [user_id for user_id, status in chat.members.items() if status not in ("left", "kicked")]
