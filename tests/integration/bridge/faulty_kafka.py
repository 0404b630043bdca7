"""Run the bridge with a Kafka that fails it: every sixth commit up to LAST, in the way named on the command line.

refused: an error instead of the commit. unanswered: committed, but no answer in time, so nobody knows. slow: each
commit takes a third of a second. stuck: a commit takes an hour. held: each commit waits while the file named next on
the command line is there. frozen: once, the process named next is stopped right before the commit, which is Kafka
itself.
"""

import asyncio
import os
import runpy
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiokafka.errors import KafkaError

from bridge import kafka

LAST = 48
"""Each costs a restart, and a slow machine commits more often: there would be no end of them."""

commits = 0


async def fail(commit: Callable[[kafka.Writer], Awaitable[None]], writer: kafka.Writer, how: str, what: str) -> None:
    global commits
    commits += 1
    is_failing = commits % 6 == 0 and commits <= LAST
    if how == "frozen" and commits == 6:
        os.kill(int(what), signal.SIGSTOP)
    if how in ("slow", "stuck"):
        await asyncio.sleep(0.3 if how == "slow" else 3600)
    while how == "held" and is_there(what):  # noqa: ASYNC110 - another process takes it away
        await asyncio.sleep(0.05)
    if is_failing and how == "refused":
        raise KafkaError("injected: not committed")
    await commit(writer)
    if is_failing and how == "unanswered":
        raise TimeoutError("injected: no answer")


def is_there(file: str) -> bool:
    return Path(file).exists()


def main() -> None:
    how, what = sys.argv[1], "".join(sys.argv[2:])
    commit = kafka.Writer._commit  # pyright: ignore[reportPrivateUsage]  # the fault is put exactly there

    async def faulty(writer: kafka.Writer) -> None:
        await fail(commit, writer, how, what)

    kafka.Writer._commit = faulty  # type: ignore[method-assign]  # pyright: ignore[reportPrivateUsage]  # as above
    sys.argv = ["bridge"]
    runpy.run_module("bridge", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
