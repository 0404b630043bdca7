"""Telegram's HTML: no text can break it, and no message is too long."""

import html
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.incidents.failures import Key, LastFailure
from bot.incidents.late import Late
from bot.incidents.machine import Ack, Incident, Note, Phase
from bot.incidents.silences import Scope, Silence
from bot.people.seal import Seal
from bot.queues.state import QueueState
from bot.render.alert import alert_text, late_text, nudge_text
from bot.render.greeting import greeting_text
from bot.render.groups import errors_text, own_schedulers_text, route_text, schedulers_text
from bot.render.incidents import (
    incidents_text,
    maintenance_on_text,
    maintenance_over_text,
    reminder_text,
    silences_buttons,
    silences_text,
)
from bot.render.markup import MESSAGE_UNITS, clip, fit, name, plain_units, prose, strip_markup, units, visible
from bot.render.queues import queue_text, queues_text
from bot.routing.routes import Destination
from tests.unit.bot.events import NOW_MS, queue
from tocsin.events import SchedulerSnapshot

ALLOWED = re.compile(r"</?(b|code|pre)>")


def is_well_formed(markup: str) -> bool:
    """Only our tags, closed in order, and no other < > &."""
    open_tags: list[str] = []
    for tag in ALLOWED.finditer(markup):
        if not tag[0].startswith("</"):
            open_tags.append(tag[1])
        elif not open_tags or open_tags.pop() != tag[1]:
            return False
    rest = re.sub(r"&(amp|lt|gt|quot|#x27);", "", ALLOWED.sub("", markup))
    return not open_tags and not set("<>&") & set(rest)


@given(st.text(), st.integers(1, 80))
def test_clip_keeps_to_utf16_units(text: str, most: int) -> None:
    cut = clip(text, most)
    assert units(cut) <= most
    assert cut == text or cut.endswith("…")


def test_clip_splits_neither_emoji_nor_accents() -> None:
    assert clip("👩‍🚀" * 3, 7) == "👩‍🚀…"
    assert clip("cafe\u0301s", 5) == "caf…"
    assert clip("🔥🔥", 3) == "🔥…"


@given(st.text(max_size=300))
def test_names_are_one_visible_line_of_valid_markup(text: str) -> None:
    shown = name(text)
    assert is_well_formed(shown)
    assert "\n" not in shown
    assert plain_units(shown) <= 62


def test_a_name_cannot_turn_the_line_around() -> None:
    assert visible("a\u202eb\u2066c") == "a\ufffdb\ufffdc"
    assert name("תורים") == "\u2068תורים\u2069"
    assert name("a<b>&c") == "a&lt;b&gt;&amp;c"


def test_new_emoji_survive() -> None:
    assert visible("🩷🚀") == "🩷🚀"


@given(st.lists(st.text(max_size=50), max_size=400))
def test_fit_never_exceeds_a_message_and_says_what_it_left_out(lines: list[str]) -> None:
    whole = fit([html.escape(visible(line)) for line in lines])
    assert plain_units(whole) <= MESSAGE_UNITS


def hostile(text: str) -> Incident:
    return Incident(
        key=Key(text, text, text, "f"),
        phase=Phase.FIRING,
        episode=2,
        count=10**9,
        total=10**9,
        first_ms=NOW_MS - 1000,
        last_ms=NOW_MS,
        touched_ms=NOW_MS,
        has_rung=True,
        last=LastFailure(text, text, text, text, text, 3, 3, text),
        previous_ms=NOW_MS - 5000,
        previous_by=text,
        ack=Ack(1, text, NOW_MS),
        silenced_until_ms=NOW_MS,
        hidden=10**9,
        workers={f"{text}{number}": number for number in range(5)},
        notes=tuple(Note(1 + number % 2, NOW_MS, text, text) for number in range(9)),
    )


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=20).map(lambda text: text * 200))
def test_an_alert_is_well_formed_and_fits_whatever_the_job_says(text: str) -> None:
    incident = hostile(text)
    silence = Silence(7, Scope(text, text, text, text), NOW_MS, NOW_MS, text, text, True, 9, {text: 9})
    listed = incidents_text(
        [(7, incident)] * 8, count=99, unheeded=9, number=0, pages=13, now_ms=NOW_MS, read_seconds_ago=4
    )
    group = {"queues": [{"queue": text}], "error_type": text, "error": text, "fingerprint": text, "is_new": True}
    own = SchedulerSnapshot(v=1, ts=0, env=text, source=text, queue=text, scheduler=text, pattern=text)
    schedule = {"queue": text, "scheduler": text, "pattern": text, "is_overdue": True, "last_outcome": text}
    for shown in (
        errors_text([group] * 8, about=text, as_of=text, now_ms=NOW_MS),
        schedulers_text([schedule] * 99, as_of=None, now_ms=NOW_MS),
        own_schedulers_text([own] * 99, note="why", read_seconds_ago=None, now_ms=NOW_MS),
        route_text(incident.key, [(Destination(1, 2, True), text)] * 9, [silence] * 9, text),
        alert_text(incident, number=10**9, runbook=text),
        nudge_text(incident),
        reminder_text([(7, incident)] * 10, count=12, now_ms=NOW_MS),
        listed,
        silences_text([silence] * 50),
        maintenance_on_text(silence),
        maintenance_over_text(silence, by=text, now_ms=NOW_MS),
    ):
        assert is_well_formed(shown)
        assert plain_units(shown) <= MESSAGE_UNITS


def test_all_that_is_quiet_can_be_paged_through_and_ended() -> None:
    silences = [Silence(number, Scope("prod"), NOW_MS, NOW_MS, "Ann") for number in range(1, 602)]
    seal = Seal("secret")
    seen: list[str] = []
    number, turns = 0, 0
    while turns == 0 or number:
        text = silences_text(silences, number)
        assert f"601 kept quiet</b>, page {number + 1} of 76" in text
        *ends, turning = silences_buttons(silences, seal, number)
        found = [seal.open(one.data) for row in ends for one in row]
        assert all(f"#{one.rpartition(':')[2]} env=prod" in text for one in found)
        seen += found
        number, turns = int(turning[-1].data.removeprefix("silences:")), turns + 1
    assert seen == [f"silence:end:{one.id}" for one in silences]
    assert "page 76 of 76" in silences_text(silences, 999), "the last, when others were ended meanwhile"


def test_the_first_line_of_an_alert_decides() -> None:
    incident = hostile("x")
    head = alert_text(incident).splitlines()[0]
    assert head == "🔴 x · <b>x</b> · x <b>×1000000000</b> · back again"


@given(st.lists(st.builds(queue, st.text(max_size=80), failed=st.integers(0, 10**12)), max_size=30))
def test_lists_are_well_formed_and_fit(queues: list[QueueState]) -> None:
    for text in (
        queues_text(queues, page=99, now_ms=NOW_MS, note=""),
        queue_text(queues, now_ms=NOW_MS, note="n"),
        greeting_text(queues, {("main", one.queue): {"depth", "overdue"} for one in queues}, missing=3),
    ):
        assert is_well_formed(text)
        assert plain_units(text) <= MESSAGE_UNITS


@given(st.text(alphabet="<>&b/ 🔥x", max_size=200))
def test_the_plain_version_of_a_refused_text_has_no_markup_left(text: str) -> None:
    plain = strip_markup(f"<b>{html.escape(text)}</b>")
    assert html.unescape(plain) == text
    assert strip_markup(plain) == plain


def test_late_summary_names_the_worst_ten() -> None:
    text = late_text(Late(78, {f"k{number}": number for number in range(13)}, NOW_MS - 60_000, NOW_MS))
    assert "78 failures of 13 kinds" in text
    assert "• k12 ×12" in text
    assert "… and 3 more" in text


def test_prose_keeps_lines() -> None:
    assert prose("a <x>\n\n b\x07", 100) == "a &lt;x&gt;\n b\ufffd"
