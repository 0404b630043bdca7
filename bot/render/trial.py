"""What became of a test alert (pure)."""

from bot import texts
from bot.incidents.trial import NOWHERE, Trial
from bot.render.markup import bold, code, fit, name
from bot.render.times import duration


def trial_text(trial: Trial) -> str:
    """A line for each place, with how long it took."""
    key = trial.key
    about = (
        texts.EVERY_CHAT if key == NOWHERE else f"{name(key.source, 30)}/{name(key.queue, 60)} ({name(key.env, 20)})"
    )
    sign = texts.ICON_OK if trial.is_delivered else texts.ICON_FAILED
    lines = [
        f"{sign} {bold(texts.TRIAL.format(about=about, number=trial.number))}",
        texts.TRIAL_COUNTED.format(took=duration(trial.counted_ms)),
    ]
    for one in trial.sent:
        topic = f", topic {one.to.topic_id}" if one.to.topic_id else ""
        silent = f", {texts.ROUTE_SILENT}" if one.to.is_silent else ""
        if one.after_ms is None:
            why = name(one.note, 160) or texts.TRIAL_WAITS
            lines.append(f"{texts.ICON_FAILED} chat {code(str(one.to.chat_id))}{topic}: {texts.NOT_YET} ({why})")
        else:
            took = texts.ARRIVED.format(took=duration(one.after_ms))
            lines.append(f"{texts.ICON_OK} chat {code(str(one.to.chat_id))}{topic}{silent}: {took}")
    if not trial.sent:
        lines.append(f"{texts.ICON_FAILED} {texts.ROUTE_NOWHERE}")
    return fit(lines)
