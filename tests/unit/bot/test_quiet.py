"""Quiet hours."""

from datetime import UTC, datetime

import pytest

from bot.routing.quiet import parse_quiet_hours, quiet_until_ms

HOURS = parse_quiet_hours("staging=18:00-08:00, */newsletter-*=20:00-07:00, main/a=b=12:00-13:00")


def at(text: str) -> int:
    return int(datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("env", "queue", "now", "until"),
    [
        ("staging", "mail", "23 18:00", "24 08:00"),
        ("staging", "mail", "24 00:30", "24 08:00"),
        ("staging", "mail", "24 08:00", None),
        ("staging", "newsletter-1", "24 07:30", "24 08:00"),
        ("prod", "newsletter-1", "24 06:59", "24 07:00"),
        ("prod", "mail", "24 03:00", None),
        ("prod", "a=b", "24 12:30", "24 13:00"),
    ],
)
def test_what_may_wait_for_the_morning(env: str, queue: str, now: str, until: str | None) -> None:
    assert quiet_until_ms(HOURS, env, "main", queue, at(now)) == (until and at(until))


@pytest.mark.parametrize("text", ["18-8", "x=18:00", "24:00-08:00", "08:00-08:00"])
def test_a_wrong_entry_is_named_by_its_number(text: str) -> None:
    with pytest.raises(ValueError, match="entry 2"):
        parse_quiet_hours(f"20:00-07:00,{text}")
