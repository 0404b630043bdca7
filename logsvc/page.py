"""Serves the page: the Vite build in web/dist, any page address answering with index.html.

Assets have their content's hash in their name, so a browser may keep them for ever; index.html is asked for each time.
The build writes `.br` and `.gz` beside an asset. index.html's `<base href="/">` becomes the path of PUBLIC_URL.
"""

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DIST = Path(__file__).parent / "web" / "dist"
PAGES = ("logs", "queues", "queue", "job", "errors", "incidents", "schedulers", "system", "account", "home")
"""First words of addresses that are the page's own."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]

NOT_BUILT = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Tocsin</title>
<h1>Tocsin runs, but its page has not been built</h1>
<p>The same facts are at <a href="api/v1/queues">api/v1/queues</a> and <a href="api/v1/logs">api/v1/logs</a>.
<p>To build the page: <code>make install</code>, then reload.</html>
"""

TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, whole."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Page:
    """The built page. base: the path under which people see it, with slashes around, e.g. `/` or `/tocsin/`."""

    def __init__(self, dist: Path = DIST, base: str = "/") -> None:
        self._dist = dist
        self._base = base

    @staticmethod
    def owns(path: str) -> bool:
        """Whether an address below the base is the page's or one of its assets'."""
        first = path.lstrip("/").partition("/")[0]
        return first in PAGES or first == "assets"

    @staticmethod
    def is_asset(path: str) -> bool:
        """Whether it is a script, style or picture: the same for everybody."""
        return path.lstrip("/").startswith("assets/")

    def answer(self, path: str, headers: Mapping[bytes, bytes]) -> Answer:
        """Answer GET or HEAD of an address that is ours. Reads the disk: call it off the loop."""
        first, _, name = path.lstrip("/").partition("/")
        if first == "assets":
            return self._asset(name, headers.get(b"accept-encoding", b"").decode("latin-1"))
        return self._index(headers.get(b"if-none-match", b""))

    def _index(self, known: bytes) -> Answer:
        try:
            html = (self._dist / "index.html").read_bytes()
        except OSError:
            return Answer(503, [*HEADERS, (b"content-type", b"text/html; charset=utf-8")], NOT_BUILT)
        body = html.replace(b'<base href="/" />', b'<base href="%s" />' % self._base.encode(), 1)
        tag = b'"%s"' % hashlib.sha256(body).hexdigest()[:32].encode()
        headers = [*HEADERS, (b"cache-control", b"no-cache"), (b"etag", tag)]
        if known == tag:
            return Answer(304, headers, b"")
        return Answer(200, [*headers, (b"content-type", b"text/html; charset=utf-8")], body)

    def _asset(self, name: str, accepted: str) -> Answer:
        folder = self._dist / "assets"
        try:
            names = {entry.name for entry in folder.iterdir() if entry.is_file()}
        except OSError:
            names = set[str]()
        if name not in names or name.endswith((".br", ".gz")):
            return Answer(404, [*HEADERS, (b"content-type", b"text/plain")], b"no such file\n")
        headers = [
            *HEADERS,
            (b"content-type", _type(name).encode()),
            (b"cache-control", b"public, max-age=31536000, immutable"),
            (b"vary", b"accept-encoding"),
        ]
        for coding, suffix in (("br", ".br"), ("gzip", ".gz")):
            if _accepts(accepted, coding) and name + suffix in names:
                body = (folder / (name + suffix)).read_bytes()
                return Answer(200, [*headers, (b"content-encoding", coding.encode())], body)
        return Answer(200, headers, (folder / name).read_bytes())


def _type(name: str) -> str:
    return TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def _accepts(header: str, coding: str) -> bool:
    for part in header.split(","):
        word, _, quality = part.strip().partition(";")
        if word.strip().lower() == coding:
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


async def send_answer(answer: Answer, method: str, send: Any) -> None:
    """Send an answer; a HEAD gets its headers only."""
    length = (b"content-length", str(len(answer.body)).encode())
    headers = answer.headers if answer.status == 304 else [*answer.headers, length]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})
