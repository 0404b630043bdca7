"""`python -m bridge`: read the settings, set up the logs, run until a signal; `--check`: only look at the settings."""

import argparse
import gc
import sys

from bridge.settings import BridgeSettings
from tocsin.lifecycle import run_service
from tocsin.log_topic import LogTopic
from tocsin.logs import set_up_service_logs
from tocsin.settings import load


def main() -> int:
    """Return the exit status: 0 drained, or settings that are right, 1 crashed, 2 wrong settings."""
    only_check: bool = parser_of_options().parse_args().check
    settings = load(BridgeSettings)
    if only_check:
        return 0
    from bridge.app import run  # takes a while, and a check needs none of it

    set_collector()
    lines = LogTopic(settings)
    set_up_service_logs(settings, lines)
    return run_service("bridge", lambda stop: run(settings, stop, lines))


def set_collector() -> None:
    """Look for cycles seldom: of what one read brings much lives until its commit, and nothing is a cycle."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def parser_of_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bridge", description=__doc__)
    parser.add_argument("--check", action="store_true", help="name every problem of the settings, then exit")
    return parser


if __name__ == "__main__":
    sys.exit(main())
