"""Who may call: this machine only, and no page of another site.

Listening on loopback keeps other machines out; it does not keep out a web page open in a browser here. So the Host must
be a loopback name (against DNS rebinding) and an Origin, if a browser sends one, must be the sandbox itself.
"""

from urllib.parse import urlsplit

from tocsin.sandbox.asgi import Scope
from tocsin.sandbox.options import is_loopback


def stranger(scope: Scope) -> str | None:
    """Say why a request is refused; None if it may go on."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    host = headers.get(b"host", "")
    if not is_loopback(_host_name(f"//{host}")):
        return "the sandbox answers to loopback names only"
    origin = headers.get(b"origin")
    if origin is not None and origin.partition("://")[2] != host:
        return "the sandbox answers to its own page only"
    return None


def _host_name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
