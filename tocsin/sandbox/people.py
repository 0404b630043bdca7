"""What people do: write, press buttons, make groups, block the bot. The bot hears of each as Telegram would tell it."""

from typing import Any, TypeVar

from msgspec import structs

from tocsin.sandbox.chats import ANONYMOUS_ADMIN_ID, Chat, ChatType, MemberStatus, Topic, User, member
from tocsin.sandbox.errors import Refused, UnknownChat
from tocsin.sandbox.hub import Sandbox
from tocsin.sandbox.records import AddQuery, Message, PutChat, PutMessage, PutUser
from tocsin.sandbox.requests import ChatChange, Press, Say
from tocsin.sandbox.rules import MAX_TEXT
from tocsin.sandbox.text import Entity, is_unicode, normalise, utf16_length

T = TypeVar("T")

FIRST_SUPERGROUP_ID = -1_000_000_000_000
"""Supergroups have ids at and below this, basic groups between it and 0, people above 0."""


def say(sandbox: Sandbox, said: Say) -> tuple[Message, int | None]:
    """Put a person's message into a chat; return it and the id of the update the bot gets, if it gets one."""
    chat = _chat_of(sandbox, said.chat_id, said.user_id)
    text, entities = normalise(said.text, []) if is_unicode(said.text) else ("", [])
    if not text:
        raise Refused("the text is empty or no Unicode")
    if utf16_length(text) > MAX_TEXT:
        raise Refused(f"a message has at most {MAX_TEXT} UTF-16 units")
    sender = _author(sandbox, chat, said)
    message = sandbox.new_message(chat, sender) | {"text": text} | ({"entities": entities} if entities else {})
    message["date"] = int(sandbox.clock() - said.seconds_ago)
    if said.forwarded_from is not None:
        author = _author_of_forwarded(sandbox, said.forwarded_from)
        message["forward_origin"] = {"type": "user", "sender_user": author.as_telegram(), "date": message["date"]}
    if said.is_anonymous:
        message["sender_chat"] = sandbox.world.describe(chat)
    if said.message_thread_id is not None:
        topic = chat.topics.get(said.message_thread_id)
        if topic is None:
            raise Refused(f"chat {chat.id} has no topic {said.message_thread_id}")
        message |= {"message_thread_id": topic.id, "is_topic_message": True}
        message["reply_to_message"] = _beginning(sandbox, chat, topic)
    if said.reply_to_message_id is not None:
        answered = sandbox.world.messages[chat.id].get(said.reply_to_message_id)
        if answered is None:
            raise Refused(f"chat {chat.id} has no message {said.reply_to_message_id}")
        message["reply_to_message"] = {name: value for name, value in answered.items() if name != "reply_to_message"}
    sandbox.commit(PutMessage(message))
    return message, sandbox.update("message", message) if _is_heard(sandbox, chat, message) else None


def press(sandbox: Sandbox, pressed: Press) -> str:
    """Press a button; return the id of the callback query the bot gets."""
    chat = _chat_of(sandbox, pressed.chat_id, pressed.user_id)
    message = sandbox.world.messages[chat.id].get(pressed.message_id)
    if message is None:
        raise Refused(f"chat {chat.id} has no message {pressed.message_id}")
    if not pressed.is_stale and pressed.data not in buttons(message):
        raise Refused(f"message {pressed.message_id} has no button with this data")
    query_id = sandbox.world.next_query_id()
    sandbox.commit(AddQuery(query_id, sandbox.clock()))
    person = sandbox.world.users[pressed.user_id].as_telegram()
    query = {"id": query_id, "from": person, "message": message, "chat_instance": str(chat.id), "data": pressed.data}
    if chat.bot_status not in ("left", "kicked"):
        sandbox.update("callback_query", query)
    return query_id


def buttons(message: Message) -> list[str]:
    """The callback data of a message's buttons."""
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [button["callback_data"] for row in rows for button in row if "callback_data" in button]


def change_chat(sandbox: Sandbox, change: ChatChange) -> Chat:
    """Make a chat, or change one. The bot hears of its own comings and goings, and of a migration."""
    if change.id == 0:
        raise Refused("no chat has the id 0")
    known = sandbox.world.chats.get(change.id)
    if change.id > 0:
        _put_person(sandbox, change.id, change.first_name, change.username, change.last_name)
    chat = Chat(
        id=change.id,
        type=_type_of(change.id),
        title=_given(change.title, known.title if known else f"Group {change.id}"),
        username=_given(change.username, known.username if known else None),
        is_forum=_given(change.is_forum, known.is_forum if known else bool(change.topics)),
        topics={topic.id: topic for topic in change.topics} if change.topics else (known.topics if known else {}),
        members=dict(known.members) if known else {},
        bot_status=known.bot_status if known else "left" if change.id < 0 else "member",
        migrated_to=known.migrated_to if known else None,
    )
    if chat.is_forum and chat.type != "supergroup":
        raise Refused("only a supergroup (id at or below -1000000000000) can be a forum")
    for each in change.members or []:
        _put_person(sandbox, each.user_id, each.first_name, each.username, None)
        chat.members[each.user_id] = each.status
    sandbox.commit(PutChat(chat))
    wanted = change.bot_status or ("member" if known is None else chat.bot_status)
    if wanted != chat.bot_status:
        chat = change_bot_status(sandbox, chat, wanted, by=_someone(sandbox, chat))
    if change.migrated_to is not None:
        chat = _migrate(sandbox, chat, change.migrated_to)
    return chat


def change_bot_status(sandbox: Sandbox, chat: Chat, status: MemberStatus, *, by: User) -> Chat:
    """Let the bot come, go, or be thrown out; it hears of that as my_chat_member."""
    changed = structs.replace(chat, bot_status=status)
    sandbox.commit(PutChat(changed))
    change: dict[str, Any] = {
        "chat": sandbox.world.describe(changed),
        "from": by.as_telegram(),
        "date": int(sandbox.clock()),
        "old_chat_member": member(sandbox.bot, chat.bot_status),
        "new_chat_member": member(sandbox.bot, status),
    }
    sandbox.update("my_chat_member", change)
    return changed


def _migrate(sandbox: Sandbox, group: Chat, new_id: int) -> Chat:
    """Turn a basic group into a supergroup: both chats get a service message, and the old one takes no more."""
    if group.type != "group" or new_id > FIRST_SUPERGROUP_ID:
        raise Refused("only a basic group becomes a supergroup, with an id at or below -1000000000000")
    supergroup = structs.replace(group, id=new_id, type="supergroup")
    sandbox.commit(PutChat(supergroup), PutChat(structs.replace(group, migrated_to=new_id)))
    author = _someone(sandbox, group)
    for chat, told in ((group, {"migrate_to_chat_id": new_id}), (supergroup, {"migrate_from_chat_id": group.id})):
        message = sandbox.new_message(chat, author) | told
        sandbox.commit(PutMessage(message))
        sandbox.update("message", message)
    return supergroup


def _chat_of(sandbox: Sandbox, chat_id: int, user_id: int) -> Chat:
    """The chat someone acts in. A stranger's private chat begins here; a stranger in a group joins it."""
    if user_id <= 0:
        raise Refused("a user id is above 0")
    if chat_id > 0 and chat_id != user_id:
        raise Refused("a private chat has the id of its person")
    chat = sandbox.world.chats.get(chat_id)
    if chat is None:
        if chat_id < 0:
            raise UnknownChat(f"there is no chat {chat_id}; make it by POST /sandbox/chats")
        return change_chat(sandbox, ChatChange(id=chat_id))
    if user_id not in sandbox.world.users:
        _put_person(sandbox, user_id, None, None, None)
    if chat.type != "private" and chat.members.get(user_id, "left") in ("left", "kicked"):
        chat = structs.replace(chat, members=chat.members | {user_id: "member"})
        sandbox.commit(PutChat(chat))
    return chat


def _author(sandbox: Sandbox, chat: Chat, said: Say) -> User:
    if not said.is_anonymous:
        return sandbox.world.users[said.user_id]
    if chat.members.get(said.user_id) not in ("creator", "administrator"):
        raise Refused("only an administrator of a group can write in its name")
    return User(id=ANONYMOUS_ADMIN_ID, first_name="Group", username="GroupAnonymousBot", is_bot=True)


def _beginning(sandbox: Sandbox, chat: Chat, topic: Topic) -> Message:
    """What began a topic: Telegram shows whatever is said there, and answers nothing else, as an answer to that."""
    return {
        "message_id": topic.id,
        "from": _someone(sandbox, chat).as_telegram(),
        "chat": sandbox.world.describe(chat),
        "date": int(sandbox.clock()),
        "message_thread_id": topic.id,
        "is_topic_message": True,
        "forum_topic_created": {"name": topic.name, "icon_color": 0x6FB9F0},
    }


def _author_of_forwarded(sandbox: Sandbox, user_id: int) -> User:
    _put_person(sandbox, user_id, None, None, None)
    return sandbox.world.users[user_id]


def _put_person(
    sandbox: Sandbox, user_id: int, first_name: str | None, username: str | None, last_name: str | None
) -> None:
    known = sandbox.world.users.get(user_id)
    person = User(
        id=user_id,
        first_name=_given(first_name, known.first_name if known else f"Person {user_id}"),
        last_name=_given(last_name, known.last_name if known else None),
        username=_given(username, known.username if known else None),
        language_code=known.language_code if known else "en",
    )
    if person != known:
        sandbox.commit(PutUser(person))


def _is_heard(sandbox: Sandbox, chat: Chat, message: Message) -> bool:
    """Whether the bot gets a message: not everything people say in a group, unless it is an administrator there.

    Source: https://core.telegram.org/bots/features#privacy-mode.
    """
    if chat.bot_status in ("left", "kicked"):
        return False
    if chat.type == "private" or chat.bot_status == "administrator" or not sandbox.options.has_privacy:
        return True
    if message.get("reply_to_message", {}).get("from", {}).get("id") == sandbox.bot.id:
        return True
    me = f"@{sandbox.bot.username}".lower()
    return any(_is_for(me, _slice(message["text"], each), each["type"]) for each in message.get("entities", []))


def _is_for(me: str, said: str, entity_type: str) -> bool:
    """Whether a marked word speaks to this bot: its name, or a command that names no other bot."""
    if entity_type == "mention":
        return said.lower() == me
    _, at, name = said.lower().partition("@")
    return entity_type == "bot_command" and (not at or f"@{name}" == me)


def _slice(text: str, entity: Entity) -> str:
    begin, end = 2 * entity["offset"], 2 * (entity["offset"] + entity["length"])
    return text.encode("utf-16-le")[begin:end].decode("utf-16-le")


def _someone(sandbox: Sandbox, chat: Chat) -> User:
    """Whoever may have changed a chat: its person, its first administrator, or the demo's."""
    admins = [user_id for user_id, status in chat.members.items() if status in ("creator", "administrator")]
    user_id = chat.id if chat.type == "private" else next(iter([*admins, *chat.members, *sandbox.world.users]))
    return sandbox.world.users[user_id]


def _type_of(chat_id: int) -> ChatType:
    if chat_id > 0:
        return "private"
    return "supergroup" if chat_id <= FIRST_SUPERGROUP_ID else "group"


def _given(value: T | None, otherwise: T) -> T:
    return otherwise if value is None else value
