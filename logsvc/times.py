"""Times as requests have them."""

from datetime import datetime

from logsvc.errors import BadRequest
from tocsin.times import LATEST_MS


def parse_time(name: str, text: str) -> int:
    """Read RFC 3339, or whole milliseconds since 1970, as ms. Raises BadRequest that names the parameter."""
    if text.isascii() and text.isdecimal():
        ms = int(text) if len(text) <= 15 else -1
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise BadRequest(f"{name}: expected a time like 2026-11-22T06:15:12Z") from None
        if moment.tzinfo is None:
            raise BadRequest(f"{name}: say which time zone, e.g. end it with Z")
        ms = round(moment.timestamp() * 1000)
    if not 0 <= ms <= LATEST_MS:
        raise BadRequest(f"{name}: expected a time between 1970 and 9999")
    return ms
