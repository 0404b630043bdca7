"""What counts as trouble, the order, the list, and finding a queue by what a person typed."""

from collections.abc import Iterator

from bot import texts
from bot.commands.job import MOST_WORDS, split
from bot.queues.numbers import newest
from bot.queues.state import QueueState, find, from_api, handle, in_trouble, similar, worst_first
from bot.render.greeting import greeting_text
from bot.render.queues import icon, queue_text, queues_buttons, queues_text, suggestions
from tests.unit.bot.events import NOW_MS, queue


def test_trouble_is_failures_a_pause_with_work_no_workers_or_a_long_wait() -> None:
    assert in_trouble(queue(failed=1))
    assert in_trouble(queue(is_paused=True, waiting=1))
    assert in_trouble(queue(workers=0, waiting=1))
    assert in_trouble(queue(workers=0, prioritized=1))
    assert in_trouble(queue(is_paused=True, prioritized=1))
    assert in_trouble(queue(waiting=1, oldest_waiting_seconds=3600))
    assert not in_trouble(queue(waiting=5, workers=None))
    assert not in_trouble(queue(is_paused=True))
    assert not in_trouble(queue(workers=0))


def test_worst_comes_first() -> None:
    ranked = worst_first(
        [queue("fine"), queue("some", failed=1), queue("many", failed=9), queue("dead", prioritized=2, workers=0)]
    )
    assert [one.queue for one in ranked] == ["dead", "many", "some", "fine"]
    assert "<b>dead</b>: 2 ready, no workers" in greeting_text(ranked, {}, missing=0)


def test_unknown_workers_are_never_shown_as_none() -> None:
    assert "workers unknown" in queues_text([queue(workers=None)], page=0, now_ms=NOW_MS, note="")
    assert "workers 0" in queue_text([queue(workers=0)], now_ms=NOW_MS, note="")


def test_every_count_that_is_not_zero_is_shown_in_bullmqs_words() -> None:
    one = queue(waiting=1, active=2, delayed=3, prioritized=4, waiting_children=5, completed=6, failed=7)
    text = queues_text([one], page=0, now_ms=NOW_MS, note="")
    assert "waiting 1, active 2, delayed 3, prioritized 4, waiting-children 5, completed 6, failed 7" in text


def test_a_page_says_how_old_its_numbers_are_and_a_laggard_queue_its_own_age() -> None:
    text = queues_text(
        [queue("a"), queue("b", as_of_ms=NOW_MS - 300_000)], page=0, now_ms=NOW_MS + 4000, note="from elsewhere"
    )
    assert "4 s old" in text
    assert "seen 5 min ago" in text
    assert "from elsewhere" in text


def test_queues_of_one_name_are_told_apart_by_their_source_and_only_those() -> None:
    known = [queue(failed=1), queue(source="eu"), queue("mail"), queue(source="eu", env="test")]
    text = queues_text(known, page=0, now_ms=NOW_MS, note="")
    assert "main/<b>orders</b> · prod" in text
    assert "eu/<b>orders</b> · prod" in text
    assert " <b>orders</b> · test" in text
    assert " <b>mail</b> · prod" in text
    assert "main/<b>orders</b>: 1 failed" in greeting_text(known, {}, missing=0)
    labels = [row[0].label for row in suggestions(similar(known, "ordres"), "queue")]
    assert labels == ["main/orders · prod", "eu/orders · prod", "eu/orders · test"]


def test_a_state_of_long_ago_is_no_state_of_now() -> None:
    for one in (queue(), queue(failed=1), queue(is_paused=True)):
        assert icon(one, NOW_MS + 60_000) != icon(one, NOW_MS + 3 * 3600_000) == texts.ICON_OLD
    text = queues_text([queue()], page=0, now_ms=NOW_MS + 3 * 3600_000, note="")
    assert "⚪ <b>orders</b>" in text
    assert "seen 3 h ago" in text


def test_a_long_list_pages_around() -> None:
    many = [queue(f"q{number:02}") for number in range(20)]
    assert "page 3 of 3" in queues_text(many, page=2, now_ms=NOW_MS, note="")
    [row] = queues_buttons(many, 2)
    assert [one.data for one in row] == ["queues:1", "queues:2", "queues:0"]
    assert [one.data for [one] in queues_buttons(many[:3], 0)] == ["queues:0"]


def test_the_worst_of_a_page_are_a_tap_away() -> None:
    troubled = [queue(f"q{number}", failed=number) for number in range(1, 10)]
    rows = queues_buttons([queue("fine"), *troubled], 0)
    assert [[one.label for one in row] for row in rows[:-1]] == [["q9", "q8"], ["q7", "q6"]]
    assert rows[0][0].data == f"queue:{handle(troubled[-1])}"
    [[first], _] = queues_buttons([queue(source="eu", failed=1), queue()], 0)
    assert first.label == "eu/orders"


def test_queues_are_found_by_name_source_or_case_and_near_names_are_offered() -> None:
    known = [queue("orders"), queue("orders", source="eu"), queue("Mail"), queue("a/b")]
    assert len(find(known, "orders")) == 2
    assert len(find(known, "eu/orders")) == 1
    assert find(known, "mail")[0].queue == "Mail"
    assert find(known, "a/b")[0].queue == "a/b"
    assert not find(known, "order")
    assert similar(known, "ordres")[0].queue == "orders"
    assert similar(known, "ail")[0].queue == "Mail"
    assert not similar(known, "zzzzzz")


def test_a_button_fits_whatever_the_queue_is_called() -> None:
    assert len(f"failed:{handle(queue('ש' * 500))}".encode()) <= 64
    assert handle(queue(source="a")) != handle(queue(source="b"))


def test_job_arguments_are_divided_by_known_queues() -> None:
    known = [queue("my queue"), queue("orders")]
    assert split("orders 12", known)[1:] == ("orders", "12")
    assert split("my queue my id", known)[1:] == ("my queue", "my id")
    assert split("nope 3", known) == ([], "nope", "3")
    assert split("orders", known)[0] == []


def test_the_newest_of_two_tellings_wins() -> None:
    assert [one.failed for one in newest([queue(failed=1), queue(failed=2, as_of_ms=NOW_MS + 1)])] == [2]


def test_logsvcs_item_is_read() -> None:
    item = {
        **{name: 1 for name in ("waiting", "active", "delayed", "prioritized", "waiting_children", "completed")},
        **{"env": "prod", "source": "s", "queue": "q", "failed": 2, "is_paused": False, "workers": None},
        **{"oldest_waiting_seconds": None, "as_of": "2026-11-22T03:14:02.5Z"},
    }
    one = from_api(item)
    assert one.failed == 2
    assert one.workers is None
    assert one.as_of_ms % 1000 == 500


class Looked(list[QueueState]):
    """Queues that count how often they are looked through."""

    times = 0

    def __iter__(self) -> Iterator[QueueState]:
        self.times += 1
        return super().__iter__()


def test_what_was_typed_is_divided_in_no_time_however_long_it_is() -> None:
    known = Looked([queue("queue 7 name")])
    assert split("x " * 2048, known)[0] == []
    assert known.times <= 2 * MOST_WORDS
    assert split("queue 7 name 47 11", known)[2] == "47 11"
    assert split("queue 7 name 4711", known)[2] == "4711"
