"""A queue's chart: what is not known is a gap, in the picture and in words; the picture is drawn by a process."""

import io
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot import drawing
from bot.drawing import Drawing, NotDrawn
from bot.incidents.machine import Deploy
from bot.queues.course import Course, Ends
from bot.render.chart import CAPTION_UNITS, COMPLETED, FAILED, caption, chart_of
from bot.render.markup import plain, plain_units
from bot.render.picture import BOTTOM, GAP, HEIGHT, LEFT, MARK, RIGHT, WIDTH, axis_end, draw, short

MINUTE = 60_000
START = 1_795_687_200_000  # 2026-11-26 10:00 UTC
END = START + 60 * MINUTE


def course(**more: Any) -> Course:
    """An hour in which 10 jobs a minute completed and nothing was missed."""
    values: dict[str, Any] = {
        "start_ms": START,
        "end_ms": END,
        "ends": [Ends(START + number * MINUTE, 10, 0, 0) for number in range(60)],
        "ends_ms": MINUTE,
        "waiting": [(START + number * 2 * MINUTE, 5) for number in range(30)],
        "waiting_ms": 2 * MINUTE,
        "deploys": [],
        "since_ms": START - 1,
        "as_of_ms": END - 4000,
    }
    return Course(**{**values, **more})


def words(one: Course) -> str:
    return plain(caption(one, ("prod", "main", "orders"), hours=1, now_ms=END))


def drawn(one: Course) -> Counter[str]:
    """How often each colour is in the picture."""
    with Image.open(io.BytesIO(draw(chart_of(one)))) as image:
        assert image.size == (WIDTH, HEIGHT)
        found = image.crop((LEFT, 0, RIGHT, BOTTOM)).getcolors(WIDTH * HEIGHT) or []
        return Counter({f"#{bytes(colour).hex()}": count for count, colour in found if isinstance(colour, tuple)})


def test_a_whole_hour_has_no_gap_and_says_its_numbers() -> None:
    assert all(not panel.gaps for panel in chart_of(course()).panels)
    text = words(course())
    assert "Last 1 h: 26 Nov 10:00:00 to 11:00:00 UTC" in text
    assert "4 s old (10:59:56 UTC)" in text
    assert "completed 600 (10 a minute), failed for good 0, tried again 0" in text
    assert "waiting 5 when last seen, 5 at most" in text
    assert "Hatched" not in text
    assert GAP not in drawn(course())


def test_what_nobody_saw_is_a_gap_and_not_a_zero() -> None:
    waiting = [(START + number * 2 * MINUTE, None if 5 <= number < 10 else 5) for number in range(30)]
    ends = [Ends(START + number * MINUTE, 0, 0, 0, lost=3 if number == 40 else 0) for number in range(60)]
    one = course(waiting=waiting, ends=ends, since_ms=START + 3 * MINUTE, as_of_ms=END - 10 * MINUTE)
    completed, failed, backlog = chart_of(one).panels
    assert completed.gaps == failed.gaps
    assert completed.gaps == [
        (START, START + 3 * MINUTE),
        (START + 40 * MINUTE, START + 41 * MINUTE),
        (END - 10 * MINUTE, END),
    ]
    assert backlog.gaps == [(START + number * 2 * MINUTE, START + (number + 1) * 2 * MINUTE) for number in range(5, 10)]
    text = words(one)
    assert "history begins at 26 Nov 10:03:00 UTC" in text
    assert "only what happened until 10:50:00 UTC is in" in text
    assert "3 events lost" in text
    assert "for 10 min nobody looked" in text
    assert GAP in drawn(one)


def test_a_look_that_is_on_its_way_is_no_gap() -> None:
    waiting = [(START + number * 2 * MINUTE, 5 if number < 29 else None) for number in range(30)]
    assert not chart_of(course(waiting=waiting)).panels[2].gaps
    assert "How many waited is not known" in words(course(waiting=[(START, None)]))


def test_failures_and_deploys_are_seen_and_told() -> None:
    ends = [Ends(START + number * MINUTE, 10, 7 if number == 30 else 0, 1) for number in range(60)]
    deploys = [Deploy(START + number * 5 * MINUTE, "shop", f"1.{number}", "<CI>") for number in range(8)]
    one = course(ends=ends, deploys=deploys)
    assert [label for _, label in chart_of(one).marks] == ["", "", "", "1", "2", "3", "4", "5"]
    text = words(one)
    assert "worst: 7 failed for good in the minute from 10:30:00 UTC on" in text
    assert "🚀 5: shop 1.7 by <CI>, 10:35:00 UTC" in text
    assert "and 3 earlier deploys" in text
    assert {COMPLETED, FAILED, MARK} <= drawn(one).keys()


def test_a_minute_that_is_not_over_is_not_shown_as_a_drop() -> None:
    ends = [Ends(START + number * MINUTE, 3 if number == 59 else 0, 0, 0) for number in range(60)]
    hollow, full = (drawn(course(ends=ends, as_of_ms=as_of))[COMPLETED] for as_of in (END - 4000, END))
    assert 0 < hollow < full


def test_a_caption_fits_whatever_the_names_are() -> None:
    deploys = [Deploy(START + number, "🔥" * 300, "<b>" * 300, "x" * 300) for number in range(9)]
    text = caption(course(deploys=deploys), ("prod", "main", "תור🔥" * 300), hours=24, now_ms=END)
    assert plain_units(text) <= CAPTION_UNITS


@pytest.mark.parametrize(
    ("most", "end", "label"),
    [(0, 1, "1"), (1, 1, "1"), (7, 8, "8"), (57, 60, "60"), (1200, 2000, "2k"), (1_500_000, 2_000_000, "2M")],
)
def test_an_axis_ends_at_a_round_number(most: int, end: int, label: str) -> None:
    assert (axis_end(most), short(axis_end(most))) == (end, label)


async def test_a_picture_comes_from_a_process_of_its_own() -> None:
    assert (await Drawing().draw(chart_of(course()))).startswith(b"\x89PNG")


async def test_a_process_that_is_too_slow_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(drawing, "DRAW_SECONDS", 2.0)
    number = tmp_path / "pid"
    with pytest.raises(NotDrawn):
        await Drawing(("sh", "-c", f"echo $$ > {number}; exec sleep 60")).draw(chart_of(course()))
    with pytest.raises(ProcessLookupError):
        os.kill(int(number.read_text()), 0)


async def test_a_process_that_fails_is_no_picture() -> None:
    for command in (("false",), ("true",), ("no-such-command",)):
        with pytest.raises(NotDrawn):
            await Drawing(command).draw(chart_of(course()))
