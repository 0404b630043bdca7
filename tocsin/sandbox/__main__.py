"""`python -m tocsin.sandbox`: the Telegram stand-in as a process of its own."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tocsin.lifecycle import run_service
from tocsin.logs import set_up_logs
from tocsin.sandbox.app import run_sandbox
from tocsin.sandbox.botapi import TOKEN
from tocsin.sandbox.flood import FloodLimits, Window
from tocsin.sandbox.options import DEFAULT_PORT, NotLoopback, SandboxOptions


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or Ctrl-C; exit 2 on a wrong argument."""
    parser = parser_of_options()
    given = parser.parse_args(arguments)
    try:
        options = options_of(given)
    except (NotLoopback, ValueError) as error:
        parser.error(str(error))
    set_up_logs("sandbox", level=given.log_level, style="auto", secrets=[options.token] if options.token else [])
    return run_service("sandbox", lambda stop: run_sandbox(options, stop))


def parser_of_options() -> argparse.ArgumentParser:
    """The command line; `tocsin sandbox` uses it too."""
    limits = FloodLimits()
    parser = argparse.ArgumentParser(
        prog="tocsin sandbox", description="A stand-in for Telegram on this machine, with a chat page in the browser."
    )
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to listen on (%(default)s)")
    parser.add_argument(
        "--port",
        type=int,
        default=os.environ.get("SANDBOX_PORT") or DEFAULT_PORT,  # a text is read as if it had been typed
        help="port to listen on (%(default)s, or SANDBOX_PORT)",
    )
    parser.add_argument("--data", type=Path, help="folder to remember chats in; without it all is forgotten at the end")
    parser.add_argument("--token-file", type=Path, help="file with the one bot token to accept; without it any will do")
    parser.add_argument("--private-limit", default=_text(limits.private), help="messages/seconds (%(default)s) or off")
    parser.add_argument("--group-limit", default=_text(limits.group), help="messages/seconds (%(default)s) or off")
    parser.add_argument("--overall-limit", default=_text(limits.overall), help="messages/seconds (%(default)s) or off")
    parser.add_argument(
        "--query-seconds", type=float, default=60.0, help="a button press is answerable for (%(default)s)"
    )
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    return parser


def options_of(given: argparse.Namespace) -> SandboxOptions:
    """Turn parsed arguments into options; raise ValueError saying what is wrong."""
    try:
        token = given.token_file.read_text().strip() if given.token_file else None
    except OSError as error:
        raise ValueError(f"--token-file {given.token_file}: {error.strerror}") from None
    if token is not None and not TOKEN.match(token):
        raise ValueError(f"{given.token_file} holds no bot token")
    windows = [Window.parse(text) for text in (given.private_limit, given.group_limit, given.overall_limit)]
    return SandboxOptions(
        host=given.host,
        port=given.port,
        token=token,
        data=given.data,
        limits=FloodLimits(*windows),
        query_seconds=given.query_seconds,
    )


def _text(window: Window) -> str:
    return f"{window.count}/{window.seconds:g}"


if __name__ == "__main__":
    sys.exit(main())
