"""A queue is missed by two complete scans in a row, or it is not missed."""

from bridge.sources.bullmq.discovery import Found, Missed

HERE, ELSEWHERE = frozenset({"mail"}), frozenset({"other"})


def test_only_two_scans_in_a_row_miss_a_queue() -> None:
    assert Found(ELSEWHERE, 20).missed("mail") is None
    assert Found(ELSEWHERE, 20, Found(HERE, 10)).missed("mail") is None
    assert Found(HERE, 20, Found(ELSEWHERE, 10)).missed("mail") is None
    assert Found(ELSEWHERE, 20, Found(ELSEWHERE, 10)).missed("mail") == Missed(10, 20)
