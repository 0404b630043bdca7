"""Ports of loopback for tests that must name one long before it is listened on.

They lie below those the kernel gives to outgoing connections, each pytest-xdist worker has a slice of its own, and none
is given twice in a process: so nobody else takes one between its choice and its use.
"""

import os
import random
from collections.abc import Iterator

from tocsin.stack.ports import is_free

_FIRST, _SLICE, _SLICES = 10_000, 1_000, 20
_REFUSED_BY_BROWSERS = 10_080


def free_port() -> int:
    """A port that is free now."""
    return next(port for port in _candidates if port != _REFUSED_BY_BROWSERS and is_free(port))


def _ports() -> Iterator[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    start = _FIRST + worker % _SLICES * _SLICE
    offset = random.randrange(_SLICE)  # another run on this machine begins elsewhere
    while True:
        yield start + offset % _SLICE
        offset += 1


_candidates = _ports()
