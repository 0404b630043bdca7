"""`/sandbox/…`: people's side of the chats, scripted faults, the call log, and the page's event stream."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from litestar import Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import ServerSentEvent, ServerSentEventMessage

from tocsin.sandbox.calls import Call
from tocsin.sandbox.chats import Chat
from tocsin.sandbox.errors import UnknownChat
from tocsin.sandbox.faults import Fault
from tocsin.sandbox.feed import Event
from tocsin.sandbox.hub import Answer, Sandbox
from tocsin.sandbox.images import image_type
from tocsin.sandbox.methods.account import commands_for
from tocsin.sandbox.people import change_chat, press, say
from tocsin.sandbox.requests import ChatChange, Press, Say

MAX_WAIT_SECONDS = 60.0
PING_SECONDS = 15.0


def control_routes(sandbox: Sandbox) -> Sequence[HTTPRouteHandler]:
    """The route handlers of the people's side."""

    @post("/sandbox/messages", sync_to_thread=False)
    def speak(data: JSONBody[Say]) -> dict[str, Any]:
        message, update_id = say(sandbox, data)
        return {"message": message, "update_id": update_id}

    @post("/sandbox/callbacks")
    async def push(data: JSONBody[Press]) -> dict[str, Any]:
        query_id = press(sandbox, data)
        answer = await _answer(sandbox, query_id, min(max(data.wait_seconds, 0), MAX_WAIT_SECONDS))
        return {"callback_query_id": query_id, "answered": answer is not None, "answer": answer}

    @get("/sandbox/chats", sync_to_thread=False)
    def chats() -> dict[str, Any]:
        return {"items": [view(sandbox, chat) for chat in sandbox.world.chats.values()]}

    @post("/sandbox/chats", sync_to_thread=False)
    def make(data: JSONBody[ChatChange]) -> dict[str, Any]:
        return view(sandbox, change_chat(sandbox, data))

    @get("/sandbox/chats/{chat_id:int}", sync_to_thread=False)
    def chat(chat_id: FromPath[int]) -> dict[str, Any]:
        return view(sandbox, _known(sandbox, chat_id))

    @get("/sandbox/chats/{chat_id:int}/messages", sync_to_thread=False)
    def messages(chat_id: FromPath[int], limit: FromQuery[int] = 0) -> dict[str, Any]:
        """Oldest first, edits applied, deleted ones absent; limit = only the newest so many, 0 = all."""
        items = list(sandbox.world.messages[_known(sandbox, chat_id).id].values())
        return {"items": items[-limit:] if limit > 0 else items}

    @get("/sandbox/events", sync_to_thread=False)
    def all_events() -> ServerSentEvent:
        return ServerSentEvent(_stream(sandbox, None))

    @get("/sandbox/chats/{chat_id:int}/events", sync_to_thread=False)
    def chat_events(chat_id: FromPath[int]) -> ServerSentEvent:
        return ServerSentEvent(_stream(sandbox, _known(sandbox, chat_id).id))

    @get("/sandbox/calls", sync_to_thread=False)
    def calls(
        method: FromQuery[str | None] = None, chat_id: FromQuery[int | None] = None, after: FromQuery[int] = 0
    ) -> dict[str, list[Call]]:
        return {"items": sandbox.calls.items(method=method, chat_id=chat_id, after=after)}

    @post("/sandbox/faults", sync_to_thread=False)
    def script(data: JSONBody[Fault]) -> dict[str, Any]:
        return {"id": sandbox.faults.add(data), "fault": data}

    @get("/sandbox/faults", sync_to_thread=False)
    def faults() -> dict[str, Any]:
        return {"items": [{"id": fault_id, "fault": fault} for fault_id, fault in sandbox.faults.items()]}

    @delete("/sandbox/faults", sync_to_thread=False)
    def clear() -> None:
        sandbox.faults.clear()

    @delete("/sandbox/faults/{fault_id:int}", sync_to_thread=False)
    def remove(fault_id: FromPath[int]) -> None:
        sandbox.faults.remove(fault_id)

    @get("/sandbox/files/{file_id:str}", sync_to_thread=False)
    def file(file_id: FromPath[str]) -> Response[bytes]:
        return _file(sandbox, file_id)

    return [
        speak,
        push,
        chats,
        make,
        chat,
        messages,
        all_events,
        chat_events,
        calls,
        script,
        faults,
        clear,
        remove,
        file,
    ]


def view(sandbox: Sandbox, chat: Chat) -> dict[str, Any]:
    """A chat as the page needs it: who is there, what its buttons and commands are."""
    people = [chat.id] if chat.type == "private" else list(chat.members)
    messages = sandbox.world.messages.get(chat.id, {})
    return {
        "chat": sandbox.world.describe(chat),
        "bot": sandbox.bot.as_telegram(),
        "bot_status": chat.bot_status,
        "migrated_to": chat.migrated_to,
        "topics": list(chat.topics.values()),
        "people": [
            sandbox.world.users[user_id].as_telegram() | {"status": chat.members.get(user_id, "member")}
            for user_id in people
        ],
        "commands": commands_for(sandbox, chat.id),
        "last_message": messages[next(reversed(messages))] if messages else None,
    }


def _known(sandbox: Sandbox, chat_id: int) -> Chat:
    chat = sandbox.world.chats.get(chat_id)
    if chat is None:
        raise UnknownChat(f"there is no chat {chat_id}")
    return chat


async def _answer(sandbox: Sandbox, query_id: str, wait_seconds: float) -> Answer | None:
    """What answerCallbackQuery says, or None if it says nothing in time."""
    waiting: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
    sandbox.answers[query_id] = waiting
    try:
        async with asyncio.timeout(wait_seconds):
            return await waiting
    except TimeoutError:
        return None
    finally:
        del sandbox.answers[query_id]


async def _stream(sandbox: Sandbox, chat_id: int | None) -> AsyncIterator[ServerSentEventMessage]:
    """Changes as they happen, in one chat or in all; a comment now and then keeps the connection alive."""
    with sandbox.feed.listen() as queue:
        yield ServerSentEventMessage(data=None, comment="listening", retry=1000)
        while not sandbox.closing.is_set():
            event = await _next_event(sandbox, queue)
            if event is None:
                yield ServerSentEventMessage(data=None, comment="ping")
            elif chat_id in (None, event.get("chat_id", chat_id)):
                yield ServerSentEventMessage(data=msgspec.json.encode(event))


async def _next_event(sandbox: Sandbox, queue: asyncio.Queue[Event]) -> Event | None:
    """The next event; None when there was none for a while, or the sandbox closes."""
    getting = asyncio.ensure_future(queue.get())
    closing = asyncio.ensure_future(sandbox.closing.wait())
    try:
        await asyncio.wait({getting, closing}, timeout=PING_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        return getting.result() if getting.done() else None
    finally:
        getting.cancel()
        closing.cancel()


def _file(sandbox: Sandbox, file_id: str) -> Response[bytes]:
    """An uploaded file. Only a picture may show in the page; anything else is a download, never run."""
    content = sandbox.read_file(file_id)
    if content is None:
        return Response(b"", status_code=404)
    picture = image_type(content)
    headers = {"content-disposition": "inline" if picture else "attachment", "cache-control": "private"}
    return Response(content, media_type=picture or "application/octet-stream", headers=headers)
