"""What a Bot API method is to the sandbox."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from tocsin.sandbox.hub import Sandbox
from tocsin.sandbox.params import Params

Handler = Callable[[Sandbox, Params], Any | Awaitable[Any]]
"""(the sandbox, the call's parameters) -> the `result` of the answer; ApiError refuses the call."""


class Method(Struct, frozen=True):
    """name: as in the documentation. is_paced: counts against the flood limits of its chat."""

    name: str
    run: Handler
    is_paced: bool = False
