"""What `tocsin tail` is asked, read from its arguments and the environment: pure, but for the token's file."""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

FILTERS = ("env", "service", "source", "queue", "level", "state", "job-id", "kind")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class BadOption(ValueError):
    """What was asked cannot be done; the message says why."""


@dataclass(frozen=True)
class Options:
    """url: logsvc's, without a slash at the end. since: from when history is shown first; None = only what is new."""

    url: str
    filters: Mapping[str, Sequence[str]]
    since: datetime | None = None
    is_json: bool = False
    is_coloured: bool = False
    token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def read_options(
    arguments: Sequence[str], environ: Mapping[str, str], *, is_terminal: bool, now: datetime | None = None
) -> Options:
    """Read them. Raises BadOption; SystemExit for a wrong usage and for --help, as argparse does."""
    parser = parser_of_options()
    given = parser.parse_args(arguments)
    keys = [name.replace("-", "_") for name in FILTERS]
    filters: dict[str, list[str]] = {key: getattr(given, key) or [] for key in keys}
    filters["q"] = [given.q] if given.q else []
    url = given.url or environ.get("LOGSVC_URL") or f"http://127.0.0.1:{environ.get('LOGSVC_PORT') or 9001}"
    if not re.match(r"https?://[^/]", url):
        raise BadOption(f"{url}: expected http://… or https://…")
    return Options(
        url=url.rstrip("/"),
        filters={name: values for name, values in filters.items() if values},
        since=_since(given.since, now or datetime.now(UTC)) if given.since else None,
        is_json=given.json,
        is_coloured=is_terminal and not given.json and not environ.get("NO_COLOR"),
        token=_token(environ),
    )


def parser_of_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tocsin tail",
        description="Follow events and log lines as they happen. Ctrl-C ends it.",
        epilog="A filter may be given several times: any of its values will do. TOCSIN_TOKEN, or the file that "
        "TOCSIN_TOKEN_FILE names, holds an API token where logsvc asks for one. NO_COLOR turns colours off.",
    )
    for name in FILTERS:
        parser.add_argument(f"--{name}", action="append", metavar=name.upper())
    parser.add_argument("-q", "--q", metavar="TEXT", help="only what holds this text, in any case")
    parser.add_argument("--since", metavar="TIME", help="begin with history: 90s, 15m, 2h, 1d, or 2026-11-22T06:15:00Z")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, as the API gives it")
    parser.add_argument("--url", help="logsvc's address (LOGSVC_URL, else this host)")
    return parser


def _since(text: str, now: datetime) -> datetime:
    if ago := re.fullmatch(r"(\d{1,9})([smhd])", text):
        try:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            raise BadOption(f"--since {text}: that is before the year 1") from None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadOption(f"--since {text}: expected 90s, 15m, 2h, 1d, or a time like 2026-11-22T06:15:00Z") from None
    return moment if moment.tzinfo else moment.astimezone()


def _token(environ: Mapping[str, str]) -> str:
    if file := environ.get("TOCSIN_TOKEN_FILE"):
        try:
            return Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadOption(f"TOCSIN_TOKEN_FILE: cannot be read ({type(error).__name__})") from None
    return environ.get("TOCSIN_TOKEN", "").strip()
