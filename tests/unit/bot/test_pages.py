"""Pages of a list that nobody counts."""

from bot.render.pages import LAST_PAGE, cut, page_buttons, page_of, wanted


def test_a_page_shows_its_rows_and_leads_on_only_where_there_is_more() -> None:
    rows = list(range(25))
    assert cut(rows[: wanted(0, 10)], 0, 10) == (list(range(10)), True)
    assert cut(rows[: wanted(2, 10)], 2, 10) == (list(range(20, 25)), False)
    assert cut(list(range(wanted(LAST_PAGE, 10))), LAST_PAGE, 10)[1] is False
    assert [one.data for one in page_buttons("failed:h", 0, has_more=True)] == ["failed:h:0", "failed:h:1"]
    assert [one.data for one in page_buttons("failed:h", 1, has_more=False)] == ["failed:h:0", "failed:h:1"]


def test_a_page_that_nobody_offered_is_the_first_or_the_last() -> None:
    assert [page_of(one) for one in ("", "x", "-1", "9" * 50, "999", "2")] == [0, 0, 0, 0, LAST_PAGE, 2]
