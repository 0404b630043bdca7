"""Incidents in a list, the reminder, silences and maintenance (pure)."""

from collections.abc import Mapping, Sequence

from bot import texts
from bot.delivery.messages import Button, Buttons
from bot.incidents.late import OTHER_KINDS
from bot.incidents.machine import Incident, Phase
from bot.incidents.silences import Scope, Silence
from bot.localtime import zone_name
from bot.people.seal import Seal
from bot.render.alert import OPEN_INCIDENTS, icon, kind, place_name, times
from bot.render.markup import bold, fit, name, prose
from bot.render.times import age, as_old, many, moment

PER_PAGE = 8
TOP = 10
LABEL_UNITS = 40

Numbered = tuple[int, Incident]
"""An incident with its id."""


def incidents_text(
    page: Sequence[Numbered],
    *,
    count: int,
    unheeded: int,
    number: int,
    pages: int,
    now_ms: int,
    read_seconds_ago: float | None,
) -> str:
    """A page of what is open. number: of this page, from 0. read_seconds_ago: None = nothing was read yet."""
    as_of = as_old(read_seconds_ago, now_ms)
    if not count:
        return f"{texts.ICON_OK} {bold(texts.NO_INCIDENTS)}\n{as_of}"
    lines = [bold(texts.INCIDENTS_HEADLINE.format(count=count, unheeded=unheeded)), as_of]
    if pages > 1:
        lines.append(texts.PAGE.format(page=number + 1, pages=pages))
    for one in page:
        lines += incident_lines(*one, now_ms=now_ms)
    return fit(lines)


def incident_lines(number: int, one: Incident, *, now_ms: int) -> list[str]:
    """One incident in two lines: what, and how it is."""
    key = one.key
    state = [f"#{number}", _phase(one), f"last {age((now_ms - one.last_ms) / 1000)} ago"]
    return [
        f"{icon(one)} {name(key.env, 20)} · {place_name(key, 48)} · {kind(one)}{times(one)}",
        f"   {' · '.join(state)}",
    ]


def _phase(one: Incident) -> str:
    if one.phase is Phase.ACKED and one.ack:
        return f"{texts.ICON_ACKED} {name(one.ack.name, 30)}"
    if one.phase is Phase.SILENCED and one.silenced_until_ms:
        return f"silenced until {moment(one.silenced_until_ms)}"
    return str(one.phase)


def incidents_buttons(page: Sequence[Numbered], *, number: int, pages: int) -> Buttons:
    """One button an incident, four in a row; then pages and refresh."""
    each = [Button(f"#{number}", data=f"incidents:show:{number}") for number, _ in page]
    rows = [tuple(each[at : at + 4]) for at in range(0, len(each), 4)]
    return (*rows, _turning("incidents", number, pages))


def _turning(list_name: str, number: int, pages: int) -> tuple[Button, ...]:
    """Back, refresh, on, round and round; where there is one page, refresh."""
    refresh = Button(texts.REFRESH, data=f"{list_name}:{number}")
    if pages == 1:
        return (refresh,)
    back = Button(texts.BACK_PAGE, data=f"{list_name}:{(number - 1) % pages}")
    return (back, refresh, Button(texts.NEXT_PAGE, data=f"{list_name}:{(number + 1) % pages}"))


def page_count(items: int) -> int:
    """Pages of a list; an empty list has one."""
    return max(1, -(-items // PER_PAGE))


def reminder_text(worst: Sequence[Numbered], *, count: int, now_ms: int) -> str:
    """One message for all that nobody has taken. worst: the TOP of them. count: of all."""
    headline = texts.REMINDER_ONE if count == 1 else texts.REMINDER_MANY.format(count=count)
    lines = [headline, *(line for one in worst for line in incident_lines(*one, now_ms=now_ms))]
    if count > len(worst):
        lines.append(texts.AND_MORE.format(count=count - len(worst)))
    return fit(lines)


def digest_text(held: Sequence[Numbered], *, now_ms: int) -> str:
    """What was held back in quiet hours: what still goes on first, then what is over."""
    worst = sorted(held, key=lambda one: (one[1].is_over, -one[1].count, one[0]))
    goes_on = many(sum(not one.is_over for _, one in held), "still goes on", "still go on")
    lines = [texts.DIGEST.format(incidents=many(len(held), "incident"), goes_on=goes_on)]
    lines += [line for one in worst[:TOP] for line in incident_lines(*one, now_ms=now_ms)]
    if len(worst) > TOP:
        lines.append(texts.AND_MORE.format(count=len(worst) - TOP))
    return fit(lines)


REMINDER_BUTTONS: Buttons = ((OPEN_INCIDENTS,),)


def scope_words(scope: Scope) -> str:
    """What a silence covers."""
    named = zip(("env", "source", "queue", "fp"), scope.parts, strict=True)
    return " ".join(f"{word}={name(part, 60)}" for word, part in named if part) or texts.EVERYTHING


def silences_text(silences: Sequence[Silence], number: int = 0) -> str:
    """A page of what is kept quiet, the one that ends first before the others."""
    if not silences:
        return f"{bold(texts.NO_SILENCES)}\n{texts.HOW_SILENCE.format(zone=zone_name())}"
    number, pages = min(number, page_count(len(silences)) - 1), page_count(len(silences))
    lines = [bold(texts.SILENCES_HEADLINE.format(count=len(silences)))]
    if pages > 1:
        lines[0] += f", {texts.PAGE.format(page=number + 1, pages=pages)}"
    for one in _page(silences, number):
        sign = texts.ICON_MAINTENANCE if one.is_maintenance else texts.ICON_SILENCED
        told = texts.SILENCE_LINE.format(until=moment(one.until_ms), by=name(one.by, 40), hidden=one.hidden)
        lines += [f"{sign} #{one.id} {scope_words(one.scope)}", f"   {told}"]
        if one.reason:
            lines.append(f"   {prose(one.reason, 160)}")
    return fit(lines)


def silences_buttons(silences: Sequence[Silence], seal: Seal, number: int = 0) -> Buttons:
    """End each of a page; then its neighbours."""
    number, pages = min(number, page_count(len(silences)) - 1), page_count(len(silences))
    ends = [
        Button(texts.END_SILENCE.format(number=one.id), data=seal.close(f"silence:end:{one.id}"))
        for one in _page(silences, number)
    ]
    rows = tuple(tuple(ends[at : at + 3]) for at in range(0, len(ends), 3))
    return rows if pages == 1 else (*rows, _turning("silences", number, pages))


def _page(silences: Sequence[Silence], number: int) -> Sequence[Silence]:
    return silences[number * PER_PAGE : (number + 1) * PER_PAGE]


def maintenance_on_text(silence: Silence) -> str:
    """A maintenance has begun."""
    said = texts.MAINTENANCE_ON.format(what=name(silence.scope.env, 40), until=moment(silence.until_ms))
    return f"{said}\n{prose(silence.reason, 300)}" if silence.reason else said


def maintenance_over_text(silence: Silence, *, by: str, now_ms: int) -> str:
    """A maintenance is over, and what it hid. by: who ended it; empty = its time."""
    how = texts.ENDED_BY.format(name=name(by, 40)) if by else texts.BY_ITS_TIME
    lines = [
        texts.MAINTENANCE_OVER.format(what=name(silence.scope.env, 40), how=how),
        f"{moment(silence.from_ms)} to {moment(now_ms)}{f': {prose(silence.reason, 300)}' if silence.reason else ''}",
    ]
    if not silence.hidden:
        return fit([*lines, texts.HID_NOTHING])
    return fit([*lines, *_hidden(silence.kinds, silence.hidden), texts.HID_END])


def _hidden(kinds: Mapping[str, int], count: int) -> list[str]:
    ranked = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    of = texts.MORE_KINDS.format(count=len(kinds) - 1) if OTHER_KINDS in kinds else many(len(kinds), "kind")
    lines = [texts.HID.format(failures=many(count, "failure"), kinds=of)]
    lines += [f"• {name(label, 160)} ×{number}" for label, number in ranked[:TOP]]
    if len(ranked) > TOP:
        lines.append(texts.AND_MORE.format(count=len(ranked) - TOP))
    return lines
