"""What an object holds: every text that leads from it, through attributes, containers and closures."""

import gc
from collections.abc import Iterator
from types import CodeType, CoroutineType, FrameType, FunctionType, ModuleType
from typing import Any

_ELSEWHERE = (ModuleType, CodeType, FrameType, CoroutineType, type)
"""They lead to what is not the object's own: globals, and with them every bounded cache of the process."""


def texts_held(by: object) -> Iterator[str]:
    """Each text once, keys among them. Bytes count as texts."""
    seen: set[int] = set()
    left: list[Any] = [by]
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, _ELSEWHERE):
            continue
        seen.add(id(one))
        if isinstance(one, str | bytes):
            yield one if isinstance(one, str) else one.decode(errors="replace")
        elif isinstance(one, FunctionType):
            left += one.__closure__ or ()
        else:
            left += gc.get_referents(one)
            left += one if isinstance(one, dict) else ()  # texts that are keys are no referents
