"""The parameters of one Bot API call, however they came: query string, form, multipart or JSON."""

import re
from collections.abc import Mapping
from email.message import Message as Headers
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from tocsin.sandbox.errors import ApiError, bad_request

MAX_BODY_BYTES = 50 * 1024 * 1024 + 64 * 1024
"""A document of 50 MB, the Bot API's limit, and the form around it."""

_INTEGER = re.compile(r"\s*(-?\d+)")


class Upload(Struct):
    """A file that came in a multipart form."""

    name: str
    media_type: str
    content: bytes


class Params:
    """Values by name. What is absent reads as empty, zero or false, as in Telegram's own server."""

    def __init__(self, values: Mapping[str, Any] | None = None, files: Mapping[str, Upload] | None = None) -> None:
        self._values = dict(values or {})
        self.files = dict(files or {})

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        return msgspec.json.encode(value).decode()

    def integer(self, name: str, default: int = 0) -> int:
        """A whole number; text that does not begin with one is 0."""
        value = self._values.get(name)
        if value is None or value == "":
            return default
        if isinstance(value, (int, float)):
            return int(value)
        found = _INTEGER.match(self.text(name))
        return int(found.group(1)) if found else 0

    def flag(self, name: str) -> bool:
        """True for `true`, `yes` and `1`, in any case."""
        return self.text(name).lower() in ("true", "yes", "1")

    def json(self, name: str, problem: str) -> Any:
        """A JSON value, None if absent; ApiError 400 with `problem` if it is no JSON."""
        value = self._values.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            raise bad_request(problem) from None

    def upload(self, name: str) -> Upload | None:
        """The file of a parameter: sent under its name, or elsewhere in the form as `attach://…`."""
        text = self.text(name)
        return self.files.get(text.removeprefix("attach://") if text.startswith("attach://") else name)


def as_object(value: Any) -> dict[str, Any] | None:
    """A JSON value if it is an object."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def as_list(value: Any) -> list[Any] | None:
    """A JSON value if it is an array."""
    return cast("list[Any]", value) if isinstance(value, list) else None


def read_params(query: bytes, content_type: str, body: bytes) -> Params:
    """Read a call's parameters; raise ApiError 400 if the body is not what its content type says."""
    values: dict[str, Any] = dict(parse_qsl(query.decode("ascii", "replace"), keep_blank_values=True))
    headers = Headers()
    headers["content-type"] = content_type or "application/x-www-form-urlencoded"
    kind = headers.get_content_type()
    if not body:
        return Params(values)
    if kind == "application/json":
        try:
            return Params(values | msgspec.json.decode(body, type=dict[str, Any]))
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ApiError(400, "Bad Request: can't parse JSON object") from None
    if kind == "multipart/form-data":
        boundary = headers.get_param("boundary")
        if not isinstance(boundary, str):
            raise ApiError(400, "Bad Request: boundary not found in the multipart form")
        fields, files = _read_multipart(body, boundary)
        return Params(values | fields, files)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise ApiError(400, "Bad Request: strings must be encoded in UTF-8") from None
    return Params(values | dict(pairs))


def _read_multipart(body: bytes, boundary: str) -> tuple[dict[str, str], dict[str, Upload]]:
    """Split a multipart form. Source of the format: RFC 7578 and RFC 2046 section 5.1.1."""
    fields: dict[str, str] = {}
    files: dict[str, Upload] = {}
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise ApiError(400, "Bad Request: the multipart form ends early")
    for part in parts[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        headers = Headers()
        for line in head.decode("utf-8", "replace").split("\r\n"):
            name, colon, value = line.partition(":")
            if colon:
                headers[name.strip()] = value.strip()
        field = headers.get_param("name", header="content-disposition")
        if not isinstance(field, str):
            continue
        filename = headers.get_filename()
        if filename is None:
            try:
                fields[field] = content.decode()
            except UnicodeDecodeError:
                raise ApiError(400, "Bad Request: strings must be encoded in UTF-8") from None
        else:
            files[field] = Upload(filename.replace("%22", '"'), headers.get_content_type(), content)
    return fields, files
