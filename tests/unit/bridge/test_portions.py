"""How many to ask for follows the sizes seen: what may come at once stays within some megabytes."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.sources.bullmq.portions import CAREFUL, Portion

WANTED = 1000


def portion() -> Portion:
    return Portion(first=10, most=500, least=2, wanted_bytes=WANTED)


def test_small_ones_double_what_the_last_answer_brought() -> None:
    mine = portion()
    asked = [mine.count]
    for _ in range(7):
        mine.learn([1] * mine.count)
        asked.append(mine.count)
    assert asked == [10, 20, 40, 80, 160, 320, 500, 500]
    mine.learn([1] * 3)
    assert mine.count == 10, "an answer that brought little says little of the next"
    mine.learn([])
    assert mine.count == 10


def test_big_ones_are_asked_for_few_at_a_time_and_remembered_for_a_while() -> None:
    mine = portion()
    mine.learn([1] * 400)
    mine.learn([1] * 9 + [WANTED])
    assert mine.count == CAREFUL
    mine.learn([WANTED * 2] * 2)
    assert mine.count == 2
    counts: list[int] = []
    for _ in range(10):
        mine.learn([1] * mine.count)
        counts.append(mine.count)
    assert counts == sorted(counts)
    assert counts[0] == 5
    assert counts[-1] > 50


def test_a_first_look_and_a_missed_deadline_make_it_smaller() -> None:
    mine = portion()
    mine.learn([1] * 200)
    mine.shrink()
    assert mine.count == 100
    mine.expect(WANTED // 20)
    assert mine.count == 20
    mine.expect(1)
    assert mine.count == 20
    for _ in range(5):
        mine.shrink()
    assert mine.count == 2


@given(st.lists(st.lists(st.integers(0, 10**9), max_size=500)))
def test_count_keeps_its_bounds(answers: list[list[int]]) -> None:
    mine = portion()
    for sizes in answers:
        mine.learn(sizes)
        assert 2 <= mine.count <= 500
        if sizes:
            assert mine.count <= max(2, CAREFUL * WANTED // max(1, *sizes))
