"""The chat page's files. Nothing inline, nothing from elsewhere: the page may only load and call this server."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

FOLDER = Path(__file__).parent / "page"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def page_routes() -> Sequence[HTTPRouteHandler]:
    """`/` and what it loads from `/sandbox/page/` (also `/sandbox/page.js` and `/sandbox/page.css`)."""
    files = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix in TYPES}

    def serve(name: str) -> Response[bytes]:
        if name not in files:
            return Response(b"", status_code=404)
        media_type = TYPES[Path(name).suffix]
        return Response(files[name], media_type=media_type, headers={"cache-control": "no-cache"})

    @get("/", sync_to_thread=False, include_in_schema=False)
    def index() -> Response[bytes]:
        return serve("page.html")

    @get(["/sandbox/page.js", "/sandbox/page.css"], sync_to_thread=False, include_in_schema=False)
    def main(request: Request[Any, Any, Any]) -> Response[bytes]:
        return serve(request.url.path.rpartition("/")[2])

    @get("/sandbox/page/{name:str}", sync_to_thread=False, include_in_schema=False)
    def part(name: FromPath[str]) -> Response[bytes]:
        return serve(name)

    return [index, main, part]
