"""Times in a zone whose days have 23 and 25 hours."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import localtime
from bot.incidents.silences import read_wish
from bot.localtime import at_minute, local, next_at
from bot.render.times import clock, moment, span
from bot.routing.duty import Turn, next_on_call, on_call
from bot.routing.quiet import parse_quiet_hours, quiet_until_ms
from bot.settings import BotSettings
from tests.unit.bot.test_routes import BASE
from tocsin.settings import SettingsError, read

ZONES = ("UTC", "Europe/Berlin", "America/Santiago", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia")
"""Santiago's clock jumps at midnight, Lord Howe's by half an hour; Apia left out a whole day in 2011."""
DAY = 24 * 60


@pytest.fixture
def berlin() -> Iterator[None]:
    """In 2026 the clock jumps on 29 March from 02:00 to 03:00, and on 25 October back from 03:00 to 02:00."""
    localtime.use(ZoneInfo("Europe/Berlin"))
    yield
    localtime.use(localtime.UTC)


def at(text: str) -> int:
    """`2026-10-25 02:30+01:00` in ms."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@given(
    st.sampled_from(ZONES), st.dates(date(2011, 1, 1), date(2037, 1, 1)), st.integers(0, DAY - 1), st.integers(1, DAY)
)
def test_a_time_is_the_first_moment_at_which_the_clock_shows_it_or_a_later_one(
    zone: str, day: date, minute: int, later: int
) -> None:
    localtime.use(ZoneInfo(zone))
    try:
        found = at_minute(day, minute)
        wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)  # noqa: DTZ001  # of a clock
        assert local(found).replace(tzinfo=None) >= wall
        assert local(found - 1).replace(tzinfo=None) < wall
        assert at_minute(day, minute + later) >= found, "what is later on the clock never comes earlier"
        assert found < next_at(minute, found) <= found + 2 * DAY * 60_000
    finally:
        localtime.use(localtime.UTC)


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        ("22:00-07:00", "2026-03-29 06:59+02:00", "2026-03-29 07:00+02:00"),  # a night of 8 hours
        ("22:00-07:00", "2026-10-25 06:59+01:00", "2026-10-25 07:00+01:00"),  # of 10
        ("22:00-02:30", "2026-03-29 01:59+01:00", "2026-03-29 03:00+02:00"),  # 02:30 is left out
        ("02:30-04:00", "2026-03-29 03:00+02:00", "2026-03-29 04:00+02:00"),
        ("22:00-02:30", "2026-10-25 02:29+02:00", "2026-10-25 02:30+02:00"),  # 02:30 comes twice
        ("22:00-02:30", "2026-10-25 02:10+01:00", None),  # and they do not begin anew
        ("02:30-04:00", "2026-10-25 02:10+01:00", "2026-10-25 04:00+01:00"),
    ],
)
@pytest.mark.usefixtures("berlin")
def test_quiet_hours_on_days_of_23_and_25_hours(hours: str, now: str, until: str | None) -> None:
    assert quiet_until_ms(parse_quiet_hours(hours), "prod", "main", "mail", at(now)) == (until and at(until))


@pytest.mark.usefixtures("berlin")
def test_the_rota_goes_by_the_clock_on_the_wall() -> None:
    rota = [Turn((6 * 24 + hour) * 60 + 30, hour, name) for hour, name in ((1, "ann"), (2, "bob"), (9, "cid"))]

    def turns(days: str, first: str) -> list[tuple[str, str]]:
        """Who is on call from when on, for three turns."""
        found: list[tuple[str, str]] = []
        duty = on_call((), rota, at(f"{days} {first}"))
        while duty is not None and len(found) < 3:
            found.append((duty.name, local(duty.from_ms).isoformat(" ", "minutes")))
            duty = next_on_call((), rota, duty.from_ms)
        return found

    assert turns("2026-03-29", "01:40+01:00") == [
        ("ann", "2026-03-29 01:30+01:00"),
        ("bob", "2026-03-29 03:00+02:00"),
        ("cid", "2026-03-29 09:30+02:00"),
    ]
    assert turns("2026-10-25", "01:40+02:00") == [
        ("ann", "2026-10-25 01:30+02:00"),
        ("bob", "2026-10-25 02:30+02:00"),
        ("cid", "2026-10-25 09:30+01:00"),
    ]
    duty = on_call((), rota, at("2026-10-25 02:10+01:00"))
    assert duty is not None
    assert duty.name == "bob", "02:30 has been, though the clock shows less"


@pytest.mark.usefixtures("berlin")
def test_times_are_read_and_told_in_the_zone_with_its_name() -> None:
    wish = read_wish("orders until 09:00 why", now_ms=at("2026-10-24 23:00+02:00"))
    assert wish is not None
    assert wish.until_ms == at("2026-10-25 09:00+01:00")
    assert clock(wish.until_ms) == "09:00:00 CET"
    assert moment(at("2026-07-01 09:00+02:00")) == "01 Jul 09:00:00 CEST"
    assert span(at("2026-10-25 02:50+02:00"), at("2026-10-25 02:10+01:00")) == "25 Oct 02:50:00 CEST to 02:10:00 CET"
    localtime.use(ZoneInfo("Asia/Kathmandu"))
    assert clock(0) == "05:30:00 UTC+0530", "a zone without letters"


@pytest.mark.parametrize("name", ["Europe/Bern", "../etc/passwd", "CEST+2", "/etc/localtime", "\0"])
def test_a_zone_nobody_knows_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="BOT_TIME_ZONE: expected a time zone's IANA name"):
        read(BotSettings, {**BASE, "BOT_TIME_ZONE": name})
