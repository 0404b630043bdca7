"""What was asked for, and what came of it (pure)."""

from collections.abc import Mapping

from bot import texts
from bot.actions.action import ASK_SECONDS, FOLLOW_SECONDS, MOST_IDS, Action, Fate, Stage
from bot.delivery.messages import Button, Buttons
from bot.people.seal import Seal
from bot.render.markup import bold, fit, name, prose
from bot.render.times import age, many, moment

BAR = 20
ENDS = (Fate.COMPLETED, Fate.FAILED, Fate.GONE, Fate.PASSED, Fate.REFUSED)
ON_THE_WAY = (Fate.MOVING, Fate.WAITS)
OFFERS: Mapping[str, str] = {"r": "retry", "p": "promote", "u": "resume"}
"""What a button of one letter offers: the rest of its 64 bytes is for the job's id."""
BUTTON_BYTES = 64


def action_text(action: Action, *, others: Mapping[str, int] | None = None) -> str:
    """An action at any stage. others: what the bridge counted that is not among the jobs, by its own words."""
    match action.stage:
        case Stage.ASKED:
            lines = _asked(action, others or {})
        case Stage.BEGUN:
            lines = [_headline(texts.UNDER_WAY, action), _place(action), texts.SENT_TO_BRIDGE, _by(action)]
        case Stage.CANCELLED:
            lines = [_headline(texts.ASK_ACTION, action), texts.ACTION_CANCELLED.format(name=name(action.by, 40))]
        case Stage.REFUSED:
            reason = prose(action.note, 600)
            lines = [texts.ACTION_REFUSED.format(icon=texts.ICON_WARN, reason=reason), _place(action), _by(action)]
        case Stage.UNKNOWN:
            reason = prose(action.note, 600)
            lines = [texts.ACTION_UNKNOWN.format(icon=texts.ICON_WARN, reason=reason), _look(action), _place(action)]
            lines.append(_by(action))
        case Stage.FOLLOWING | Stage.ENDED:
            lines = _followed(action) if action.is_on_jobs else [_headline(texts.DONE_TO_QUEUE, action), _by(action)]
    return fit([line for line in lines if line])


def action_buttons(action: Action, seal: Seal) -> Buttons:
    """Confirm or cancel; at the end, retry what failed again, where one request holds as many ids."""
    if action.stage is Stage.ASKED:
        go = texts.GO[action.action].format(count=action.count)
        return (
            (
                Button(go, data=seal.close(f"go:{action.id}")),
                Button(texts.CANCEL, data=seal.close(f"go:no:{action.id}")),
            ),
        )
    failed = action.counted(Fate.FAILED)
    if action.stage is Stage.ENDED and action.action == "retry" and 0 < failed <= MOST_IDS:
        return ((Button(texts.RETRY_AGAIN.format(count=failed), data=seal.close(f"retry:again:{action.id}")),),)
    return ()


def offer(label: str, action: str, queue: str, job_id: str = "") -> tuple[Button, ...]:
    """A button that leads to the question; none where the job's id is too long for it. queue: its handle."""
    letter = next(letter for letter, what in OFFERS.items() if what == action)
    data = ":".join(("do", letter, queue, *([job_id] if job_id else [])))
    return (Button(label, data=data),) if len(data.encode(errors="replace")) <= BUTTON_BYTES else ()


def outcome_words(action: Action) -> str:
    """`398 completed, 11 failed again, 3 gone`."""
    counts = [(fate, action.counted(fate)) for fate in (*ENDS, *ON_THE_WAY)]
    return ", ".join(_fate_words(fate, count) for fate, count in counts if count)


def _fate_words(fate: Fate, count: int) -> str:
    one = texts.FATES_OF_ONE.get(fate) if count == 1 else None
    return one or texts.FATES[fate].format(count=count)


def note_words(action: Action) -> str:
    """What the incident is to remember."""
    return _with_outcome(texts.DONE_TO_JOBS[action.action].format(count=action.total), action)


def _with_outcome(done: str, action: Action) -> str:
    words = outcome_words(action)
    return f"{done}: {words}" if words else done


def _asked(action: Action, others: Mapping[str, int]) -> list[str]:
    left_out = ", ".join(f"{count} {word.replace('_', ' ')}" for word, count in sorted(others.items()) if count)
    return [
        _headline(texts.ASK_ACTION, action),
        _place(action),
        texts.NOT_AMONG.format(others=name(left_out, 200)) if left_out else "",
        texts.WILL[action.action],
        texts.CONFIRM_WITHIN.format(minutes=round(ASK_SECONDS / 60)),
    ]


def _followed(action: Action) -> list[str]:
    failed = action.counted(Fate.FAILED) + action.counted(Fate.REFUSED)
    is_over = action.stage is Stage.ENDED
    icon = texts.ICON_RETRY if not is_over else texts.ICON_WARN if failed or action.open else texts.ICON_RESOLVED
    done = bold(texts.DONE_TO_JOBS[action.action].format(count=action.total))
    lines = [f"{icon} {_with_outcome(done, action)}", _place(action), _by(action)]
    if not is_over:
        lines.insert(1, _bar(action))
    elif action.open:
        lines.append(texts.STOPPED_LOOKING.format(age=age(FOLLOW_SECONDS)))
    return lines


def _bar(action: Action) -> str:
    done = action.total - action.open
    filled = BAR * done // max(1, action.total)
    return f"{'▓' * filled}{'░' * (BAR - filled)} {100 * done // max(1, action.total)} %"


def _headline(forms: Mapping[str, str], action: Action) -> str:
    return forms[action.action].format(jobs=many(action.count, "job"), queue=name(action.queue, 60))


def _place(action: Action) -> str:
    kind = [name(action.kind, 60)] if action.kind else []
    return " · ".join([name(action.env, 20), f"{texts.SOURCE} {name(action.source)}", name(action.queue, 60), *kind])


def _look(action: Action) -> str:
    """Where to see whether it was done."""
    words = texts.LOOK_AT_JOBS if action.is_on_jobs else texts.LOOK_AT_QUEUE
    return words.format(queue=name(action.queue, 60))


def _by(action: Action) -> str:
    at = moment(action.begun_ms or action.asked_ms)
    return texts.ACTION_BY.format(name=bold(name(action.by, 40)), at=at)
