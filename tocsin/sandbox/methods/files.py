"""Documents and photos."""

from typing import Any

from tocsin.sandbox.errors import ApiError, bad_request
from tocsin.sandbox.hub import Sandbox
from tocsin.sandbox.images import image_size
from tocsin.sandbox.methods.lookup import find_chat
from tocsin.sandbox.methods.messages import compose, edit, editable, marked_caption, send
from tocsin.sandbox.params import Params, as_object
from tocsin.sandbox.records import Message, PutFile
from tocsin.sandbox.rules import read_caption

MAX_FILE_BYTES = 50 * 1024 * 1024


def send_document(sandbox: Sandbox, params: Params) -> Message:
    chat = find_chat(sandbox, params)
    caption, entities = read_caption(params)
    message = compose(sandbox, chat, params)
    message |= _document(sandbox, params, "document") | marked_caption(caption, entities)
    return send(sandbox, message, params)


def send_photo(sandbox: Sandbox, params: Params) -> Message:
    chat = find_chat(sandbox, params)
    caption, entities = read_caption(params)
    message = compose(sandbox, chat, params)
    message |= _photo(sandbox, params, "photo") | marked_caption(caption, entities)
    return send(sandbox, message, params)


def edit_message_media(sandbox: Sandbox, params: Params) -> Message:
    """Another file and caption in a message, or a file in one that had a text. Photos and documents only."""
    message = editable(sandbox, params)
    given = as_object(params.json("media", "Can't parse media JSON object"))
    if given is None:
        raise bad_request("Can't parse InputMedia: expected an Object")
    media = Params(given, params.files)
    read = {"photo": _photo, "document": _document}.get(media.text("type"))
    if read is None:
        raise bad_request(f"the sandbox edits photos and documents, not {media.text('type')!r}")
    caption, entities = read_caption(media)
    return edit(sandbox, message, read(sandbox, media, "media") | marked_caption(caption, entities), params)


def get_file(sandbox: Sandbox, params: Params) -> dict[str, Any]:
    file = sandbox.world.files.get(params.text("file_id"))
    if file is None:
        raise bad_request("wrong file_id or the file is temporarily unavailable")
    return _described(file) | {"file_path": f"files/{file.file_id}"}


def _photo(sandbox: Sandbox, params: Params, kind: str) -> dict[str, Any]:
    """A photo has one size here, where Telegram makes several."""
    upload = params.upload(kind)
    if upload is not None and image_size(upload.content) is None:
        raise bad_request("IMAGE_PROCESS_FAILED")
    file = _received(sandbox, params, kind)
    width, height = image_size(sandbox.read_file(file.file_id) or b"") or (0, 0)
    return {"photo": [_described(file) | {"width": width, "height": height}]}


def _document(sandbox: Sandbox, params: Params, kind: str) -> dict[str, Any]:
    file = _received(sandbox, params, kind)
    return {"document": _described(file) | {"file_name": file.name, "mime_type": file.media_type}}


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
