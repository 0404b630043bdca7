"""/rules NAME preview: what a rule would have rung in the last day (pure)."""

from bot import texts
from bot.incidents.failures import rule_of
from bot.render.markup import bold, code, fit, name
from bot.render.times import many, moment, span
from bot.rules.policy import EventRule
from bot.rules.preview import Previewed
from bot.rules.rehearsal import RESTING
from bot.rules.rulebook import AnyRule

MOST_SHOWN = 8
"""They fit a phone's screen, with what stands around them."""


def preview_text(rule: AnyRule, words: str, before: Previewed, after: Previewed, *, hours: float) -> str:
    """words: the change as it was typed; empty = the rule as it is. before: what it rings as it is."""
    rung = _of(rule, after)
    lines = [bold(texts.PREVIEW.format(rule=name(rule.title), hours=f"{hours:g}"))]
    if words:
        was = many(len(_of(rule, before)), "time")
        lines.append(
            texts.PREVIEW_CHANGED.format(words=code(name(words, 120)), times=bold(many(len(rung), "time")), before=was)
        )
    else:
        lines.append(texts.PREVIEW_AS_IS.format(times=bold(many(len(rung), "time"))))
    lines += rung[: -MOST_SHOWN - 1 : -1]
    if len(rung) > MOST_SHOWN:
        lines.append(texts.PREVIEW_MORE.format(count=len(rung) - MOST_SHOWN))
    lines += _read(rule, after)
    if words:
        lines.append(texts.PREVIEW_NOT_YET.format(rule=name(rule.name), words=name(words, 120)))
    return fit(lines)


def _of(rule: AnyRule, found: Previewed) -> list[str]:
    """A line for each time that this rule rings, in order."""
    return [
        f"• {moment(at_ms)} {name(one.key.env, 20)} · {bold(name(one.key.queue or one.key.source, 40))} · "
        f"{name(one.last.error_type or one.last.error or rule.title, 60)}"
        for at_ms, one in found.rung
        if rule_of(one.key.fingerprint) == rule.name
    ]


def _read(rule: AnyRule, found: Previewed) -> list[str]:
    """How far this goes."""
    if found.first_ms is None or found.last_ms is None:
        return [texts.PREVIEW_NOTHING_READ]
    records = many(found.records, "record")
    lines = [texts.PREVIEW_READ.format(span=span(found.first_ms, found.last_ms), records=records)]
    if not found.is_whole:
        lines.append(texts.PREVIEW_CUT)
    if rule.name in RESTING:
        lines.append(texts.PREVIEW_RESTS)
    elif not isinstance(rule, EventRule):
        lines.append(texts.PREVIEW_MEASURED)
    return lines
