"""The command itself: where lines go, and how it ends."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence

from tocsin.tail.follow import Follow, TailError
from tocsin.tail.options import BadOption, read_options


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Follow until Ctrl-C; return the exit status: 0 stopped, 1 cannot go on, 2 wrong usage."""
    try:
        options = read_options(arguments, environ, is_terminal=sys.stdout.isatty())
    except BadOption as error:
        return _fail(str(error), 2)
    try:
        asyncio.run(Follow(options, _write, _tell).run())
    except TailError as error:
        return _fail(str(error), 1)
    except BrokenPipeError:  # `tocsin tail | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        pass
    return 0


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _fail(why: str, status: int) -> int:
    sys.stderr.write(f"tocsin tail: {why}\n")
    return status
