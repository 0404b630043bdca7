"""How a queue did over some time: what the picture shows, and the caption that says it in words (pure)."""

from collections.abc import Sequence

from bot import texts
from bot.delivery.messages import Button, Buttons
from bot.incidents.machine import Deploy
from bot.localtime import zone_name
from bot.queues.course import Course
from bot.queues.state import Place, QueueState, handle
from bot.render.markup import bold, fit, name
from bot.render.panels import Bars, Chart, Panel
from bot.render.times import age, clock, duration, many, moment, span
from tocsin.times import MINUTE_MS

CAPTION_UNITS = 1024
"""Of a photo. Source: core.telegram.org/bots/api#sendphoto."""
HOURS = (1, 24)
SHOWN_DEPLOYS = 5
COMPLETED, FAILED, RETRIED, WAITING = "#4fc3a1", "#ff6b6b", "#ffc14d", "#6fb1ff"
FRESH_MS = 180_000

Gap = tuple[int, int]


def chart_of(course: Course) -> Chart:
    """Throughput, failures and backlog below one another; where something is not known, a gap."""
    each = f"per {_width(course.ends_ms)}"
    first_ms = course.ends[0].at_ms if course.ends else course.start_ms
    gaps, whole_ms = ended_gaps(course), course.known_to_ms
    failures = [
        Bars([one.failed for one in course.ends], FAILED, texts.CHART_FOR_GOOD),
        Bars([one.retried for one in course.ends], RETRIED, texts.CHART_TRIED_AGAIN),
    ]
    completed = [Bars([one.completed for one in course.ends], COMPLETED)]
    return Chart(
        course.start_ms,
        course.end_ms,
        [
            Panel(texts.CHART_COMPLETED.format(each=each), first_ms, course.ends_ms, completed, gaps, whole_ms),
            Panel(texts.CHART_FAILED.format(each=each), first_ms, course.ends_ms, failures, gaps, whole_ms),
            Panel(
                texts.CHART_WAITING,
                course.waiting[0][0] if course.waiting else course.start_ms,
                course.waiting_ms,
                [Bars([waiting for _, waiting in course.waiting], WAITING)],
                waiting_gaps(course),
            ),
        ],
        _marks(course),
        zone_name(),
    )


def _width(ms: int) -> str:
    return "minute" if ms == MINUTE_MS else duration(ms)


def _marks(course: Course) -> list[tuple[int, str]]:
    """Every deploy; those that the caption tells have their number there."""
    shown = {id(one): str(number) for number, one in enumerate(_shown(course), start=1)}
    return [(one.at_ms, shown.get(id(one), "")) for one in course.deploys]


def _shown(course: Course) -> Sequence[Deploy]:
    return course.deploys[-SHOWN_DEPLOYS:]


def ended_gaps(course: Course) -> list[Gap]:
    """Before history begins, after what is in, and where events were lost."""
    gaps = [(course.start_ms, course.known_from_ms)]
    gaps += [(one.at_ms, one.at_ms + course.ends_ms) for one in course.ends if one.lost]
    if course.end_ms - course.known_to_ms > max(FRESH_MS, course.ends_ms):
        gaps.append((course.known_to_ms, course.end_ms))
    return [(start, end) for start, end in gaps if end > start]


def waiting_gaps(course: Course) -> list[Gap]:
    """Where nobody looked; not the newest parts as long as a look may just be on its way."""
    newest = course.end_ms - max(FRESH_MS, course.waiting_ms)
    return [
        (at_ms, at_ms + course.waiting_ms)
        for at_ms, waiting in course.waiting
        if waiting is None and (at_ms < newest or course.known_to_ms < newest)
    ]


def caption(course: Course, where: Place, *, hours: int, now_ms: int) -> str:
    """The picture in words, for who cannot see it, and how fresh it is."""
    completed, failed, retried = (
        sum(getattr(part, what) for part in course.ends) for what in ("completed", "failed", "retried")
    )
    env, source, queue = where
    minutes = max(1.0, (course.known_to_ms - course.known_from_ms) / MINUTE_MS)
    asof = (
        texts.AS_OF_UNKNOWN
        if course.as_of_ms is None
        else texts.AS_OF.format(age=age((now_ms - course.as_of_ms) / 1000), at=clock(course.as_of_ms))
    )
    lines = [
        f"{texts.ICON_CHART} {bold(name(queue))} · {name(env, 20)} · {texts.SOURCE} {name(source)}",
        f"{texts.CHART_LAST.format(hours=hours)}: {span(course.start_ms, course.end_ms)}",
        asof,
        texts.CHART_ENDED.format(completed=completed, rate=_rate(completed / minutes), failed=failed, retried=retried),
        _worst(course),
        _waited(course),
        *_missing(course),
        *(_deploy_line(number, deploy) for number, deploy in enumerate(_shown(course), start=1)),
    ]
    hidden = len(course.deploys) - SHOWN_DEPLOYS
    if hidden > 0:
        lines.append(texts.CHART_EARLIER.format(deploys=many(hidden, "earlier deploy")))
    return fit([line for line in lines if line], most=CAPTION_UNITS)


def _rate(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}"


def _worst(course: Course) -> str:
    worst = max(course.ends, key=lambda part: part.failed, default=None)
    if worst is None or not worst.failed:
        return ""
    return texts.CHART_WORST.format(count=worst.failed, each=_width(course.ends_ms), at=clock(worst.at_ms))


def _waited(course: Course) -> str:
    seen = [(waiting, at_ms) for at_ms, waiting in course.waiting if waiting is not None]
    if not seen:
        return texts.CHART_NOBODY_LOOKED
    most, at_ms = max(seen)
    return texts.CHART_WAITED.format(last=seen[-1][0], most=most, at=clock(at_ms))


def _missing(course: Course) -> list[str]:
    """What the hatched parts are."""
    lines: list[str] = []
    if course.known_from_ms > course.start_ms:
        lines.append(texts.CHART_BEGINS.format(at=moment(course.known_from_ms)))
    if course.end_ms - course.known_to_ms > max(FRESH_MS, course.ends_ms):
        lines.append(texts.CHART_ENDS.format(at=clock(course.known_to_ms)))
    if course.lost:
        lines.append(texts.CHART_LOST.format(events=many(course.lost, "event")))
    gaps = waiting_gaps(course)
    if gaps and len(gaps) < len(course.waiting):
        unseen = sum(end - start for start, end in gaps)
        lines.append(texts.CHART_UNSEEN.format(time=duration(unseen)))
    return [f"{texts.ICON_WARN} {line}" for line in lines]


def _deploy_line(number: int, one: Deploy) -> str:
    by = f" {texts.BY.format(name=name(one.by, 40))}" if one.by else ""
    what = bold(f"{name(one.service, 40)} {name(one.version, 40)}")
    return f"{texts.ICON_DEPLOY} {number}: {what}{by}, {clock(one.at_ms)}"


def chart_buttons(one: QueueState, hours: int) -> Buttons:
    """The same time anew, or another."""
    row = [
        Button(
            (texts.LAST_HOURS_AGAIN if each == hours else texts.LAST_HOURS).format(hours=each),
            data=f"chart:{handle(one)}:{each}",
        )
        for each in HOURS
    ]
    return (tuple(row),)
