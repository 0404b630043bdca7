"""`python -m bot`: read the settings, set up the logs, run until a signal; `--check`: only look at the settings.

`--login-link`, `--token` and `--test-alert` are `tocsin login-link` and so on: they need Postgres; the last one also a
bot that runs.
"""

import argparse
import asyncio
import sys

from bot.settings import BotSettings
from tocsin.lifecycle import run_service
from tocsin.log_topic import LogTopic
from tocsin.logs import set_up_service_logs
from tocsin.roles import Role
from tocsin.settings import load


def main() -> int:
    """Return the exit status: 0 drained, done, or settings that are right, 1 crashed or failed, 2 wrong settings."""
    asked = parser_of_options().parse_args()
    settings = load(BotSettings)
    if asked.check:
        return 0
    if asked.login_link or asked.token or asked.test_alert is not None:
        from bot import by_hand

        if asked.login_link:
            return asyncio.run(by_hand.login_link(settings, asked.login_link, asked.role and Role(asked.role)))
        if asked.test_alert is not None:
            return asyncio.run(by_hand.test_alert(settings, asked.test_alert))
        return asyncio.run(by_hand.token(settings, asked.token, asked.role and Role(asked.role), asked.days))
    from bot.app import run  # takes a while, and a check needs none of it

    lines = LogTopic(settings)
    set_up_service_logs(settings, lines)
    return run_service("bot", lambda stop: run(settings, stop, lines))


def parser_of_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bot", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="name every problem of the settings, then exit")
    what.add_argument("--login-link", metavar="USER", help="print a link that logs USER into the page, then exit")
    what.add_argument(
        "--token", nargs="+", metavar="WORD", help="create NAME, list, or revoke ID: API tokens for scripts"
    )
    what.add_argument(
        "--test-alert", nargs="*", metavar="WORD", help="send a test alert to every chat, or as one of ENV SOURCE QUEUE"
    )
    parser.add_argument("--role", choices=[role.value for role in Role], help="of the link or token")
    parser.add_argument("--days", type=int, help="how long a new token is good; default until it is revoked")
    return parser


if __name__ == "__main__":
    sys.exit(main())
