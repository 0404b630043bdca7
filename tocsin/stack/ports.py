"""Addresses that stay the same across restarts and move only when somebody else took the port."""

import json
import socket
from contextlib import suppress
from pathlib import Path

_HOST = "127.0.0.1"


class Ports:
    """The ports of one data directory, kept in its ports.json as name -> [asked for, given].

    `take` gives what this name got the last time it asked for the same port, if that is free; else the port asked for;
    else any free one. The port is free when given; a stranger may still take it before the server does, and the
    server then fails to start.
    """

    def __init__(self, data: Path) -> None:
        self._file = data / "ports.json"
        self._known: dict[str, tuple[int, int]] = {}
        with suppress(OSError, ValueError, TypeError, AttributeError):  # absent, or not what we wrote: begin anew
            self._known = {name: (asked, given) for name, (asked, given) in json.loads(self._file.read_text()).items()}

    def take(self, name: str, asked: int) -> int:
        """Pick and remember the port for name; asked 0 means any."""
        others = {given for other, (_, given) in self._known.items() if other != name}
        before = self._known.get(name)
        for port in (before[1] if before and before[0] == asked else 0, asked):
            if port and port not in others and is_free(port):
                return self._remember(name, asked, port)
        return self._remember(name, asked, free_port(others))

    def _remember(self, name: str, asked: int, given: int) -> int:
        if self._known.get(name) != (asked, given):
            self._known[name] = (asked, given)
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(self._known, indent=1, sort_keys=True) + "\n")
        return given


def is_port(text: str) -> bool:
    """Whether a text names a port, or 0 for any free one."""
    return text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= 65535


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
        return True


def free_port(besides: set[int] | frozenset[int] = frozenset()) -> int:
    """A loopback port that is free now and not in besides."""
    while True:
        with socket.socket() as probe:
            probe.bind((_HOST, 0))
            port: int = probe.getsockname()[1]
        if port not in besides:
            return port
