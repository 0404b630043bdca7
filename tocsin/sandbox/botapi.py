"""The Bot API over HTTP: `/bot<token>/METHOD` and `/file/bot<token>/PATH`, as a plain ASGI app.

Order of looking at a call: token (404 if no token at all, 401 if not ours), method, scripted faults, flood limits, the
method's own rules. An answer is `{"ok":true,"result":…}` or `{"ok":false,"error_code":…,"description":…}`, and the HTTP
status says the same.
"""

import asyncio
import inspect
import re
import time
from typing import Any

import msgspec

from tocsin.sandbox.asgi import Receive, Scope, Send
from tocsin.sandbox.calls import Call
from tocsin.sandbox.errors import ApiError
from tocsin.sandbox.faults import Fault
from tocsin.sandbox.hub import Sandbox
from tocsin.sandbox.methods import METHODS, Method
from tocsin.sandbox.params import MAX_BODY_BYTES, Params, as_object, read_params

TOKEN = re.compile(r"\d+:[\w-]{20,}\Z", re.ASCII)
_PATH = re.compile(r"/bot(?P<token>[^/]*)/(?P<method>[^/]*)/?\Z")
_FILE_PATH = re.compile(r"/file/bot(?P<token>[^/]*)/files/(?P<file>\w+)\Z")


class CallerGone(Exception):
    """The caller hung up before its answer was ready."""


class BotApi:
    """Answers the bot's HTTP calls."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        try:
            if found := _FILE_PATH.match(path):
                self._check(found["token"])
                await self._send_file(send, found["file"])
                return
            found = _PATH.match(path)
            if found is None:
                raise ApiError(404, "Not Found")
            self._check(found["token"])
            body = await _read_body(receive)
        except CallerGone:
            return
        except ApiError as error:
            await _send_json(send, error.code, _refused(error))
            return
        await self._answer(found["method"], scope, body, receive, send)

    def _check(self, token: str) -> None:
        if not TOKEN.match(token):
            raise ApiError(404, "Not Found")
        if self._sandbox.options.token not in (None, token):
            raise ApiError(401, "Unauthorized")
        self._sandbox.bot_id = int(token.partition(":")[0])

    async def _answer(self, name: str, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        method = METHODS.get(name.lower())
        call = Call(0, self._sandbox.clock(), method.name if method else name[:64], "ok", 200, 0.0)
        began = time.monotonic()
        try:
            if method is None:
                raise ApiError(404, "Not Found: method not found")
            params = _params(scope, body)
            _note(call, params)
            fault = self._sandbox.faults.take(method.name, call.chat_id, params.text("text") or params.text("caption"))
            answer = await self._carry_out(method, params, call, fault, receive)
        except ApiError as error:
            call.outcome, call.code, call.description = "refused", error.code, error.description
            answer = _refused(error)
        except CallerGone:
            call.outcome = "gone"
            return
        finally:
            call.seconds = time.monotonic() - began
            self._sandbox.calls.add(call)
        if call.outcome in ("lost", "cut"):
            await _break_off(send)
        else:
            await _send_json(send, call.code, answer)

    async def _carry_out(
        self, method: Method, params: Params, call: Call, fault: Fault | None, receive: Receive
    ) -> dict[str, Any]:
        if fault is not None and (refusal := fault.refusal()) is not None:
            raise refusal
        if fault is not None and not fault.accepted:
            if fault.kind == "drop":
                call.outcome = "cut"
                return {}
            await _unless_gone(receive, asyncio.sleep(fault.seconds))
        if method.is_paced and call.chat_id is not None:
            self._sandbox.flood.take(call.chat_id, time.monotonic())
        result = method.run(self._sandbox, params)
        if inspect.isawaitable(result):
            result = await _unless_gone(receive, result)
        call.message_id = (as_object(result) or {}).get("message_id", call.message_id)
        if fault is not None and fault.accepted:
            call.outcome = "lost"
            if fault.kind == "hang":
                await _unless_gone(receive, asyncio.sleep(fault.seconds))
                call.outcome = "ok"
        return {"ok": True, "result": result}

    async def _send_file(self, send: Send, file_id: str) -> None:
        content = self._sandbox.read_file(file_id)
        if content is None:
            raise ApiError(404, "Not Found")
        await _send(send, 200, b"application/octet-stream", content)


def _params(scope: Scope, body: bytes) -> Params:
    headers = dict(scope["headers"])
    return read_params(scope["query_string"], headers.get(b"content-type", b"").decode("latin-1"), body)


def _note(call: Call, params: Params) -> None:
    call.chat_id = params.integer("chat_id") or None
    call.message_thread_id = params.integer("message_thread_id") or None
    call.message_id = params.integer("message_id") or None
    call.is_silent = params.flag("disable_notification")


def _refused(error: ApiError) -> dict[str, Any]:
    body: dict[str, Any] = {"ok": False, "error_code": error.code, "description": error.description}
    return body | ({"parameters": error.parameters} if error.parameters else {})


async def _read_body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise CallerGone
        chunks.append(event.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BODY_BYTES:
            raise ApiError(413, "Request Entity Too Large")
        if not event.get("more_body"):
            return b"".join(chunks)


async def _unless_gone(receive: Receive, work: Any) -> Any:
    """Await work, but give it up when the caller hangs up: raise CallerGone. The request's body must have been read."""
    working = asyncio.ensure_future(work)
    listening = asyncio.ensure_future(receive())
    try:
        await asyncio.wait({working, listening}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise CallerGone
        return working.result()
    finally:
        working.cancel()
        listening.cancel()


async def _send_json(send: Send, status: int, body: dict[str, Any]) -> None:
    await _send(send, status, b"application/json", msgspec.json.encode(body))


async def _send(send: Send, status: int, media_type: bytes, content: bytes) -> None:
    headers = [
        (b"content-type", media_type),
        (b"content-length", str(len(content)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": False})


async def _break_off(send: Send) -> None:
    """Close the connection in the middle of an answer: more bytes are announced than come."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1024")]})
