"""Where the kernel sends no death signal (macOS): a small process between a parent and its child that does.

`python -m tocsin.stack.guard SIGNAL COMMAND…` with standard input a pipe nobody writes to. The pipe ends when the
parent does, however it ends; the child then gets SIGNAL. Other signals are passed on, the exit status too.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable


def guarded(death_signal: signal.Signals, argv: list[str]) -> list[str]:
    """The command line that runs argv under a guard."""
    return [sys.executable, "-m", "tocsin.stack.guard", str(int(death_signal)), *argv]


def main(arguments: list[str]) -> int:
    """Run the child to its end; 128 + the signal's number when one ended it."""
    death_signal = signal.Signals(int(arguments[0]))
    early: list[int] = []
    pass_on: Callable[[int], None] = early.append  # until there is a child to pass it on to
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: pass_on(received))
    with subprocess.Popen(arguments[1:], stdin=subprocess.DEVNULL) as child:
        pass_on = child.send_signal
        for received in early:
            child.send_signal(received)

        def watch() -> None:
            while os.read(0, 1024):
                pass
            child.send_signal(death_signal)

        threading.Thread(target=watch, daemon=True).start()
        code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
