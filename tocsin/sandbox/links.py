"""Which links Telegram takes, in buttons and in text. Source: td `LinkManager.cpp` check_link and `HttpUrl.cpp`."""

import re
from urllib.parse import urlsplit

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_APP_SCHEMES = ("tg", "ton", "tonsite")


def link_problem(url: str) -> str | None:
    """Say what is wrong with a link, in Telegram's words; None if it is taken.

    `http://localhost:9001` is refused (a host needs a dot), `http://127.0.0.1:9001` is not.
    """
    scheme = _SCHEME.match(url)
    if scheme and scheme.group(1).lower() in _APP_SCHEMES:
        return None
    rest = url
    if "://" in url:
        if not scheme or scheme.group(1).lower() not in ("http", "https"):
            return "Unsupported URL protocol"
        rest = url[url.index("://") + 3 :]
    try:
        parts = urlsplit(f"//{rest}")
        host = parts.hostname or ""
    except ValueError:
        return "Wrong HTTP URL"
    try:
        _ = parts.port
    except ValueError:
        return "Wrong port number specified in the URL"
    if not host:
        return "URL host is empty"
    return None if "." in host or ":" in host else "Wrong HTTP URL"
