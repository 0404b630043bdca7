"""Turning the pages of a list that history tells: nobody counts it, so only whether there is more is known (pure)."""

from collections.abc import Sequence
from typing import TypeVar

from bot import texts
from bot.delivery.messages import Button

T = TypeVar("T")

LAST_PAGE = 19
"""What is further down is looked for on the live page."""


def page_of(text: str) -> int:
    """The page that a button names."""
    return min(int(text), LAST_PAGE) if text.isdecimal() and len(text) < 4 else 0


def wanted(page: int, each: int) -> int:
    """How many rows to ask for, to show a page and to know whether there is another."""
    return (page + 1) * each + 1


def cut(items: Sequence[T], page: int, each: int) -> tuple[Sequence[T], bool]:
    """The rows of a page, and whether there are more."""
    return items[page * each : (page + 1) * each], len(items) > (page + 1) * each and page < LAST_PAGE


def page_buttons(data: str, page: int, *, has_more: bool) -> tuple[Button, ...]:
    """Back, refresh, on. data: what a button says before the page."""
    back = [Button(texts.BACK_PAGE, data=f"{data}:{page - 1}")] if page else []
    on = [Button(texts.NEXT_PAGE, data=f"{data}:{page + 1}")] if has_more else []
    return (*back, Button(texts.REFRESH, data=f"{data}:{page}"), *on)
