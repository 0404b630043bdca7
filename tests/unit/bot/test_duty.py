"""Who is on call."""

from datetime import UTC, datetime

import pytest

from bot.incidents.alerts import next_page
from bot.incidents.machine import Paged
from bot.incidents.silences import Scope, Silence
from bot.render.duty import handover_text, on_call_text
from bot.routing.duty import Shift, Turn, next_on_call, on_call, others, read_rota
from bot.routing.routes import Destination
from bot.store.handover import Handover
from bot.store.incidents import Open
from bot.store.models import AuditRow

ROTA = [Turn(minute, 1 if name == "ann" else 2, name) for minute, name in ((540, "ann"), (4 * 1440 + 1080, "bob"))]
"""Ann from Monday 09:00 on, Bob from Friday 18:00 on."""


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("now", "who", "until"),
    [
        ("2026-11-23 08:59", "bob", "2026-11-23 09:00"),  # a Monday; Bob's turn began in the week before
        ("2026-11-23 09:00", "ann", "2026-11-27 18:00"),
        ("2026-11-27 18:00", "bob", "2026-11-30 09:00"),
    ],
)
def test_the_rota_repeats_every_week(now: str, who: str, until: str) -> None:
    duty = on_call((), ROTA, at(now))
    assert duty is not None
    assert (duty.name, duty.until_ms, duty.by_rota) == (who, at(until), True)
    following = next_on_call((), ROTA, at(now))
    assert following is not None
    assert (following.name, following.from_ms) == ("ann" if who == "bob" else "bob", at(until))


def test_who_took_it_has_it_until_their_time_is_up_and_then_the_rota_says() -> None:
    shift = Shift(7, "cid", at("2026-11-24 10:00"), at("2026-11-24 18:00"))
    assert [
        one and one.name for one in (on_call((shift,), ROTA, at(f"2026-11-24 {hour}:00")) for hour in (10, 17, 18))
    ] == [
        "cid",
        "cid",
        "ann",
    ]
    following = next_on_call((shift,), ROTA, at("2026-11-24 12:00"))
    assert following is not None
    assert following.name == "ann"
    assert on_call((), [], at("2026-11-24 12:00")) is None


def test_whoever_has_it_with_no_end_has_it_again_after_a_short_shift_of_another() -> None:
    noon, two = at("2026-11-24 12:00"), at("2026-11-24 14:00")
    shifts = (Shift(8, "bob", noon, two), Shift(7, "ann", at("2026-11-20 09:00"), None))
    for rota in ((), ROTA):
        assert [one and one.name for one in (on_call(shifts, rota, now) for now in (noon, two))] == ["bob", "ann"]
        text = on_call_text(on_call(shifts, rota, noon), next_on_call(shifts, rota, noon), rota)
        assert "Then ann, from" in text
        assert "14:00" in text


def test_a_rota_is_read_and_a_wrong_entry_named() -> None:
    assert read_rota("Fri 18:00 @bob, Monday 09:00 42") == [(540, "42"), (4 * 1440 + 1080, "@bob")]
    twice = "Mon 09:00 @ann, Fri 18:00 @bob, Monday 9:00 @cid"
    for text, number in (("Mon 09:00 @ann, Xyz 09:00 @bob", "2"), ("Mon 25:00 @ann", "1"), ("", "1"), (twice, "3")):
        with pytest.raises(ValueError, match=number):
            read_rota(text)


def test_after_the_one_on_call_come_the_others_of_the_rota_and_then_the_chain_each_once() -> None:
    now_ms = at("2026-11-24 12:00")
    assert [one.name for one in others(ROTA, 1, now_ms)] == ["bob"]
    chain = (Destination(-5, 45), Destination(2))
    paged = (Paged(1, "ann", now_ms),)
    names: list[str] = []
    while (following := next_page(paged, ROTA, chain, now_ms)) is not None:
        paged = (*paged, following)
        names.append(following.name)
    assert names == ["bob", "chat -5"]


def test_a_handover_has_room_for_what_was_done_however_much_is_silenced() -> None:
    now_ms = at("2026-11-24 12:00")
    silences = [Silence(number, Scope("prod", "main", f"q{number}"), now_ms, 7, "ann") for number in range(300)]
    acts = [
        AuditRow(
            at=datetime(2026, 11, 24, tzinfo=UTC), user_id="7", name="ann", action="retry", target="x", outcome="done"
        )
    ]
    found = Handover(now_ms, None, None, Open(0, 0, []), silences, acts, 1, 0, 0)
    text = handover_text(found, 9, 1203, now_ms=now_ms, read_seconds_ago=1.0)
    for words in ("… and 290 more", "ann: retry x · done", "read: 1203 events;", "digest: 9 incidents;"):
        assert words in text
    text = handover_text(found, 1, 1, now_ms=now_ms, read_seconds_ago=1.0)
    for words in ("read: 1 event;", "digest: 1 incident;"):
        assert words in text
