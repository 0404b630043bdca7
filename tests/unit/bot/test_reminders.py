"""Which places are reminded of what."""

from bot.incidents.reminders import together
from bot.routing.routes import Destination

OPS, MAIL, STAGING = Destination(1), Destination(2, 5), Destination(3, is_silent=True)


def test_a_place_is_reminded_of_all_it_has_and_so_is_every_place_that_shares_some_of_it() -> None:
    places = {9: [OPS], 4: [OPS, MAIL], 6: [MAIL], 7: [STAGING], 8: []}
    both = {OPS: [9, 4], MAIL: [4, 6]}
    assert together([9], places) == both
    assert together([6, 9], places) == both
    assert together([7], places) == {STAGING: [7]}
    assert together([8, 99], places) == {}, "nobody hears of the one, and somebody has taken the other"


def test_a_place_that_hears_something_aloud_is_reminded_aloud() -> None:
    silently = Destination(1, is_silent=True)
    assert together([1], {1: [silently], 2: [OPS]}) == {OPS: [1, 2]}
