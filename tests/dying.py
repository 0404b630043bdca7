"""Run a service that kills itself (SIGKILL) at a named call, such as `bridge --at bridge.kafka:Writer._commit`.

before: as the call begins; after: when it has returned. Only the --nth call dies, and only while --marker does not
exist, so that the same command line, started again, lives. The product itself has no such points.
"""

import argparse
import functools
import importlib
import inspect
import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any


def die_at(target: str, when: str, nth: int, marker: Path) -> None:
    """Replace module:Class.method (or module:function) by one that kills the process."""
    module, _, path = target.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    original = getattr(owner, name)
    calls = 0

    def is_due() -> bool:
        nonlocal calls
        calls += 1
        return calls == nth and not marker.exists()

    def die() -> None:
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)

    @functools.wraps(original)
    async def asynchronous(*arguments: Any, **keywords: Any) -> Any:
        due = is_due()
        if due and when == "before":
            die()
        answer = await original(*arguments, **keywords)
        if due:
            die()
        return answer

    @functools.wraps(original)
    def synchronous(*arguments: Any, **keywords: Any) -> Any:
        due = is_due()
        if due and when == "before":
            die()
        answer = original(*arguments, **keywords)
        if due:
            die()
        return answer

    setattr(owner, name, asynchronous if inspect.iscoroutinefunction(original) else synchronous)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("service")
    parser.add_argument("--at", required=True)
    parser.add_argument("--when", choices=["before", "after"], required=True)
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--marker", type=Path, required=True)
    options = parser.parse_args()
    die_at(options.at, options.when, options.nth, options.marker)
    sys.argv = [options.service]
    runpy.run_module(options.service, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
