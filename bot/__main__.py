"""`python -m bot`: read the settings, set up the logs, run until a signal; `--check`: only look at the settings."""

import argparse
import sys

from bot.settings import BotSettings
from tocsin.lifecycle import run_service
from tocsin.log_topic import LogTopic
from tocsin.logs import set_up_service_logs
from tocsin.settings import load


def main() -> int:
    """Return the exit status: 0 drained, or settings that are right, 1 crashed, 2 wrong settings."""
    parser = argparse.ArgumentParser(prog="bot", description=__doc__)
    parser.add_argument("--check", action="store_true", help="name every problem of the settings, then exit")
    only_check: bool = parser.parse_args().check
    settings = load(BotSettings)
    if only_check:
        return 0
    from bot.app import run  # takes a while, and a check needs none of it

    lines = LogTopic(settings)
    set_up_service_logs(settings, lines)
    return run_service("bot", lambda stop: run(settings, stop, lines))


if __name__ == "__main__":
    sys.exit(main())
