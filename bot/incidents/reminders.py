"""One reminder for everything that nobody has taken, instead of one for each incident (pure)."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from bot.routing.routes import Destination


def together(due: Collection[int], places: Mapping[int, Collection[Destination]]) -> dict[Destination, list[int]]:
    """What each place is reminded of when these incidents are due: all of its own, in the order given.

    places: who hears of each incident. What two places hear of is told in both, and so is all else there: otherwise
    one of them would be reminded of it twice as often, or never. A place is silent where all of that is.
    """
    of_place: dict[Destination, list[int]] = {}
    loud: set[Destination] = set()
    for number, its in places.items():
        for to in its:
            place = replace(to, is_silent=True)
            of_place.setdefault(place, []).append(number)
            if not to.is_silent:
                loud.add(place)
    reached: dict[Destination, list[int]] = {}
    fresh = set(due)
    while fresh:
        heard = {replace(to, is_silent=True) for number in fresh for to in places.get(number, ())}
        newly = {place: of_place[place] for place in heard - reached.keys()}
        reached |= newly
        fresh = {number for several in newly.values() for number in several}
    return {replace(place, is_silent=place not in loud): several for place, several in reached.items()}
