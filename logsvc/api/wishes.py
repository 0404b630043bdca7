"""What all wishes to act have in common: an id that makes it harmless to send one again, and what came of it."""

from typing import Annotated, Generic, TypeVar

import msgspec

T = TypeVar("T")

RequestId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]


class Outcomes(msgspec.Struct, Generic[T], kw_only=True):
    """count: how many were acted on, or would be. outcomes: how many of each. results: one by one."""

    request_id: str
    dry_run: bool
    count: int
    outcomes: dict[str, int]
    results: list[T]
