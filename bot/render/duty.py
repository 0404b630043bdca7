"""Who is on call, and the handover (pure)."""

from collections.abc import Sequence

from bot import texts
from bot.localtime import zone_name
from bot.render.incidents import incident_lines, scope_words
from bot.render.markup import bold, fit, name
from bot.render.times import as_old, many, moment
from bot.routing.duty import Duty, Turn
from bot.store.handover import Handover

MOST_QUIET = 10
"""Silences in a handover, those that end first; /silence has them all, and what was done has to fit below."""


def duty_lines(duty: Duty | None, following: Duty | None) -> list[str]:
    """Who is on call, and who is next."""
    if duty is None:
        return [f"{texts.ICON_PAGED} {bold(texts.NOBODY_ON_CALL)}"]
    until = texts.UNTIL_TIME.format(until=moment(duty.until_ms)) if duty.until_ms else texts.UNTIL_TAKEN
    words = f"{until}, {texts.BY_ROTA}" if duty.by_rota else until
    lines = [f"{texts.ICON_PAGED} {bold(texts.ON_CALL.format(name=name(duty.name, 60), until=words))}"]
    if following is not None and duty.until_ms is not None:
        lines.append(texts.NEXT_ON_CALL.format(name=name(following.name, 60), at=moment(duty.until_ms)))
    return lines


def on_call_text(
    duty: Duty | None, following: Duty | None, rota: Sequence[Turn], *, out_of_reach: Sequence[str] = ()
) -> str:
    """The answer to /oncall. out_of_reach: names of those just put on call whom nobody can write to."""
    lines = duty_lines(duty, following)
    if out_of_reach:
        lines.append(texts.OUT_OF_REACH.format(names=", ".join(name(one, 40) for one in out_of_reach)))
    lines.append(texts.ROTA.format(zone=zone_name()) if rota else texts.NO_ROTA)
    lines += [f"• {one.words} {name(one.name, 60)}" for one in rota]
    return fit([*lines, texts.HOW_ON_CALL])


def handover_text(found: Handover, held: int, lost: int | None, *, now_ms: int, read_seconds_ago: float | None) -> str:
    """All that whoever takes over wants to know. held: incidents kept for the morning digest. lost: events; None = not
    known.
    """
    lines = [bold(texts.HANDOVER.format(since=moment(found.since_ms))), as_old(read_seconds_ago, now_ms)]
    lines += duty_lines(found.duty, found.following)
    lines.append(
        texts.HANDOVER_OPEN.format(
            count=found.open.count, unheeded=found.open.unheeded, began=found.began, ended=found.ended
        )
    )
    for one in found.open.page:
        lines += incident_lines(*one, now_ms=now_ms)
    if found.open.count > len(found.open.page):
        lines.append(texts.AND_MORE.format(count=found.open.count - len(found.open.page)))
    if found.silences:
        lines.append(bold(texts.HANDOVER_QUIET))
    for one in found.silences[:MOST_QUIET]:
        sign = texts.ICON_MAINTENANCE if one.is_maintenance else texts.ICON_SILENCED
        told = texts.SILENCE_LINE.format(until=moment(one.until_ms), by=name(one.by, 40), hidden=one.hidden)
        lines.append(f"{sign} {scope_words(one.scope)} {told}")
    if len(found.silences) > MOST_QUIET:
        lines.append(texts.AND_MORE.format(count=len(found.silences) - MOST_QUIET))
    lines.append(bold(texts.HANDOVER_ACTS) if found.acts else texts.HANDOVER_NOTHING_DONE)
    for one in found.acts:
        who = name(one.name or one.user_id, 40)
        at = moment(int(one.at.timestamp() * 1000))
        lines.append(f"• {at} {who}: {name(one.action, 40)} {name(one.target, 80)} · {name(one.outcome, 80)}")
    if found.acts_count > len(found.acts):
        lines.append(texts.AND_MORE.format(count=found.acts_count - len(found.acts)))
    lines.append(_lost_words(lost))
    if held:
        lines.append(texts.HANDOVER_HELD.format(incidents=many(held, "incident")))
    return fit(lines)


def _lost_words(lost: int | None) -> str:
    if lost is None:
        return texts.HANDOVER_LOST_UNKNOWN
    if not lost:
        return texts.HANDOVER_NO_GAP
    return f"{texts.ICON_WARN} {texts.HANDOVER_LOST.format(events=many(lost, 'event'))}"
