"""Documents and photos."""

from typing import Any

from tocsin.sandbox.errors import ApiError, bad_request
from tocsin.sandbox.hub import Sandbox
from tocsin.sandbox.images import image_size
from tocsin.sandbox.methods.lookup import find_chat
from tocsin.sandbox.methods.messages import compose, marked_caption, send
from tocsin.sandbox.params import Params
from tocsin.sandbox.records import Message, PutFile
from tocsin.sandbox.rules import read_caption

MAX_FILE_BYTES = 50 * 1024 * 1024


def send_document(sandbox: Sandbox, params: Params) -> Message:
    chat = find_chat(sandbox, params)
    caption, entities = read_caption(params)
    message = compose(sandbox, chat, params)
    file = _received(sandbox, params, "document")
    message["document"] = _described(file) | {"file_name": file.name, "mime_type": file.media_type}
    return send(sandbox, message | marked_caption(caption, entities), params)


def send_photo(sandbox: Sandbox, params: Params) -> Message:
    """A photo has one size here, where Telegram makes several."""
    chat = find_chat(sandbox, params)
    caption, entities = read_caption(params)
    message = compose(sandbox, chat, params)
    upload = params.upload("photo")
    if upload is not None and image_size(upload.content) is None:
        raise bad_request("IMAGE_PROCESS_FAILED")
    file = _received(sandbox, params, "photo")
    width, height = image_size(sandbox.read_file(file.file_id) or b"") or (0, 0)
    message["photo"] = [_described(file) | {"width": width, "height": height}]
    return send(sandbox, message | marked_caption(caption, entities), params)


def get_file(sandbox: Sandbox, params: Params) -> dict[str, Any]:
    file = sandbox.world.files.get(params.text("file_id"))
    if file is None:
        raise bad_request("wrong file_id or the file is temporarily unavailable")
    return _described(file) | {"file_path": f"files/{file.file_id}"}


def _received(sandbox: Sandbox, params: Params, kind: str) -> PutFile:
    """The uploaded file, or the one whose file_id was given."""
    upload = params.upload(kind)
    if upload is None:
        known = sandbox.world.files.get(params.text(kind))
        if known is None and params.text(kind):
            raise bad_request("wrong remote file identifier specified: Wrong string length")
        if known is None:
            raise bad_request(f"There is no {kind} in the request")
        return known
    if not upload.content:
        raise bad_request("file must be non-empty")
    if len(upload.content) > MAX_FILE_BYTES:
        raise ApiError(413, "Request Entity Too Large")
    return sandbox.keep_file(upload.name, upload.media_type, upload.content)


def _described(file: PutFile) -> dict[str, Any]:
    return {"file_id": file.file_id, "file_unique_id": f"u{file.file_id}", "file_size": file.size}
