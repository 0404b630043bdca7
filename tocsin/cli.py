"""The command line: `tocsin COMMAND`. Each command loads only what it needs.

Exit statuses: 0 done or stopped when asked; 1 failed; 2 wrong usage or settings.
"""

import argparse
import asyncio
import os
import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tocsin import __version__

_SERVICES = {
    "bridge": "relay BullMQ's events from Redis to Kafka",
    "logsvc": "keep them in ClickHouse and serve the live page",
    "bot": "answer and ring in Telegram",
}
_DATA = Path(".tocsin")
_MIGRATES_ITSELF = "Postgres: the bot brings its tables up to date itself when it starts."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = parser_of_commands()
    given, rest = parser.parse_known_args(arguments)
    command: str = given.command
    if command == "sandbox":
        return _sandbox(rest)
    if command == "tail":
        from tocsin.tail.command import main as tail

        return tail(rest, _environment())
    if command in _SERVICES:
        return _service(command, rest)
    if rest:
        parser.error(f"unknown arguments: {' '.join(rest)}")
    if command == "up":
        from tocsin.stack.up import main as up

        data: Path = given.data or _DATA / ("demo" if given.demo else "up")
        return up(given.demo, data, given.port)
    if command == "doctor":
        from tocsin.doctor import run_doctor

        return asyncio.run(run_doctor(_environment(), given.services))
    if command == "login-link":
        return _bot(["--login-link", given.user], given.role, given.data)
    if command == "test-alert":
        return _bot(["--test-alert", *given.words], None, given.data)
    if command == "token":
        days = [] if given.days is None else ["--days", str(given.days)]
        return _bot(["--token", *given.words, *days], given.role, given.data)
    return _migrate(print_sql=given.print_sql)


def parser_of_commands() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tocsin", description="An alarm bell for BullMQ.")
    parser.add_argument("--version", action="version", version=f"tocsin {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    up = commands.add_parser("up", help="run everything here, with servers of its own where no address is set")
    up.add_argument("--demo", action="store_true", help="with a sample app and a stand-in for Telegram")
    up.add_argument("--data", type=Path, help="directory of all data (.tocsin/up, or .tocsin/demo)")
    up.add_argument(
        "--port",
        type=_port,
        help="port of the live page (9001, or LOGSVC_PORT); when it is taken another, which is told",
    )
    for name, help_text in _SERVICES.items():
        commands.add_parser(name, help=help_text, add_help=False)
    doctor = commands.add_parser("doctor", help="check the settings and every server; say what mends a problem")
    doctor.add_argument("services", nargs="*", metavar="SERVICE", type=_name, help="only what these need: bridge, …")
    commands.add_parser("tail", help="follow the live log in the terminal; see its --help", add_help=False)
    commands.add_parser("sandbox", help="run a stand-in for Telegram with a chat page; see its --help", add_help=False)
    migrate = commands.add_parser("migrate", help="bring the databases' tables up to date")
    migrate.add_argument("--print-sql", action="store_true", help="only print what would run, for a DBA")
    link = commands.add_parser("login-link", help="print a link that logs USER into the page, once")
    link.add_argument("user", metavar="USER", help="a Telegram id, a @username the bot knows, or any name")
    _add_role(link, "what the link lets do (default: the role USER holds, else viewer)")
    token = commands.add_parser("token", help="create, list or revoke API tokens for scripts")
    token.add_argument("words", nargs="+", metavar="WORD", help="create NAME, list, or revoke ID")
    _add_role(token, "what a new token lets do (default viewer)")
    token.add_argument("--days", type=int, help="how long it is good (default: until it is revoked)")
    test = commands.add_parser("test-alert", help="ring the configured chats with a marked alert, and time it")
    test.add_argument("words", nargs="*", metavar="WORD", help="ENV SOURCE QUEUE: as an alert of that queue")
    for by_bot in (link, token, test):
        by_bot.add_argument(
            "--data", type=Path, help="directory of the `tocsin up` that runs (.tocsin/up, .tocsin/demo)"
        )
    return parser


def _add_role(parser: argparse.ArgumentParser, help_text: str) -> None:
    parser.add_argument("--role", choices=["viewer", "operator", "admin"], help=help_text)


def _name(text: str) -> str:
    if text not in _SERVICES:
        raise argparse.ArgumentTypeError(f"no service of this name; there are {', '.join(_SERVICES)}")
    return text


def _port(text: str) -> int:
    from tocsin.stack.ports import is_port

    if not is_port(text):
        raise argparse.ArgumentTypeError("expected a port, 0 to 65535 (0: any free one)")
    return int(text)


def _service(name: str, arguments: Sequence[str]) -> int:
    """Run a service in this process, exactly as `python -m NAME` does, with its arguments (--check …)."""
    sys.argv = [name, *arguments]
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _sandbox(arguments: Sequence[str]) -> int:
    from tocsin.sandbox.__main__ import main as sandbox

    return sandbox(arguments)


def _migrate(*, print_sql: bool) -> int:
    """ClickHouse by logsvc, in a process of its own: only services know their tables."""
    done = subprocess.run([sys.executable, "-m", "logsvc", "--print-sql" if print_sql else "--migrate"], check=False)
    if done.returncode == 0:
        print(f"-- {_MIGRATES_ITSELF}" if print_sql else _MIGRATES_ITSELF)
    return done.returncode


def _bot(arguments: Sequence[str], role: str | None, data: Path | None) -> int:
    """By the bot, in a process of its own: only services know their tables.

    Where no Postgres is given it is the one of a `tocsin up`, whose other settings then count too.
    """
    environ, place = _environment(), None
    if not (environ.get("DATABASE_URL") or environ.get("DATABASE_URL_FILE")):
        from tocsin.stack.data import kept_settings

        places = [data] if data else [_DATA / "up", _DATA / "demo"]
        place = next((one for one in places if kept_settings(one)), None)
        environ = {**(kept_settings(place) if place else {}), **environ}
    roles = [] if role is None else ["--role", role]
    status = subprocess.run([sys.executable, "-m", "bot", *arguments, *roles], check=False, env=environ).returncode
    if status and place:
        print(f"(asked the Postgres of {place}: does `tocsin up` run on it?)", file=sys.stderr)
    return status


def _environment() -> dict[str, str]:
    return dict(os.environ)  # noqa: TID251 - the command's own environment, handed on


if __name__ == "__main__":
    sys.exit(main())
