"""The alert message, what follows it, and the late summary (pure)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from bot import texts
from bot.delivery.messages import Button, Buttons
from bot.incidents.failures import Key, rule_of
from bot.incidents.late import OTHER_KINDS, Late
from bot.incidents.machine import Incident, Note, Paged, Phase
from bot.incidents.storms import Member, Storm
from bot.people.seal import Seal
from bot.render.markup import bold, code, fit, name, pre, prose
from bot.render.times import age, clock, many, moment, span
from bot.routing.routes import Runbook, runbook_of

ERROR_UNITS = 700
FRAME_UNITS = 200
_LONG_PATH = re.compile(r"(?:\w+://)?/?(?:[^\s/()\"]+/){2,}(?=[^\s/()\"]+/[^\s/()\"]+)")
"""All but the last two names of a path that has four or more."""
NOTE_UNITS = 300
SHOWN_NOTES = 3
TOP_KINDS = 10
TOP_WORKERS = 3
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")

OPEN_INCIDENTS = Button(texts.ALL_INCIDENTS, data="incidents:new")
"""Under a message that others read too, and that stays: the list comes below it."""

ICONS: Mapping[Phase, str] = {
    Phase.RESOLVED: texts.ICON_RESOLVED,
    Phase.ACKED: texts.ICON_ACKED,
    Phase.SILENCED: texts.ICON_SILENCED,
}
"""Every other phase wants somebody."""


@dataclass(frozen=True)
class Links:
    """Where buttons lead. page_url: the live page's address, empty if there is none. can_act: the bridge may be asked
    to act. logs_in: the page may want a login, so its button asks us for a link of who presses it.
    """

    page_url: str = ""
    runbooks: tuple[Runbook, ...] = ()
    can_act: bool = False
    logs_in: bool = False

    def runbook(self, key: Key) -> str:
        """The address of what to do about a queue; empty if nobody wrote it."""
        return runbook_of(self.runbooks, rule_of(key.fingerprint), key.source, key.queue)

    def page_of(self, incident: Incident) -> str:
        """The live page at this incident's newest job; empty if there is no page."""
        return _page(incident, self.page_url) if self.page_url else ""

    def runbook_as_text(self, key: Key) -> str:
        """The same where no button can lead there."""
        url = self.runbook(key)
        return "" if is_linkable(url) else url


def icon(incident: Incident) -> str:
    """The state at a glance."""
    return ICONS.get(incident.phase, texts.ICON_WARN if incident.rule else texts.ICON_FAILED)


def kind(incident: Incident) -> str:
    """The class of the error, or what a rule found."""
    return name(incident.last.error_type or "Error", 60)


def times(incident: Incident) -> str:
    """How often it happened; a rule finds a state, which does not happen several times."""
    return "" if incident.rule else f" {bold(f'×{incident.count}')}"


def alert_text(incident: Incident, *, number: int = 0, runbook: str = "") -> str:
    """One incident. The first line decides, because it is all a push notification shows.

    number: the incident's id. runbook: an address to show as text. What is cut is cut at the end, whole lines.
    """
    lines = [
        _headline(incident),
        *_who(incident),
        *_where(incident),
        *_what(incident),
        *_when(incident, number),
        *_before(incident),
        *(note_line(one) for one in _notes(incident)),
    ]
    if runbook:
        lines.append(f"{texts.RUNBOOK}: {name(runbook, 300)}")
    return fit(lines)


def _headline(incident: Incident) -> str:
    key = incident.key
    state = texts.RESOLVED if incident.is_over else texts.NEW if incident.previous_ms is None else texts.BACK
    what = f"{kind(incident)}{times(incident)}"
    return f"{icon(incident)} {name(key.env, 20)} · {place_name(key)} · {what} · {state}"


def place_name(key: Key, most: int = 60) -> str:
    """The queue; or the source, where it is about that as a whole."""
    return bold(name(key.queue or key.source, most))


def _who(incident: Incident) -> list[str]:
    """Who has it, and what keeps it quiet."""
    lines: list[str] = []
    if incident.ack is not None:
        at = clock(incident.ack.at_ms)
        lines.append(f"{texts.ICON_ACKED} {texts.ACKED_BY.format(name=bold(name(incident.ack.name, 40)), at=at)}")
    if incident.paged and not incident.is_over:
        lines.append(
            f"{texts.ICON_PAGED} {texts.PAGED.format(names=', '.join(_mention(one) for one in incident.paged))}"
        )
    if incident.silenced_until_ms is not None:
        until = moment(incident.silenced_until_ms)
        lines.append(f"{texts.ICON_SILENCED} {texts.SILENCED_UNTIL.format(until=until, hidden=incident.hidden)}")
    return lines


def _mention(one: Paged) -> str:
    """A person by name, so that Telegram tells them; or another chat."""
    if not one.is_person:
        return code(name(one.name, 40))
    return f'<a href="tg://user?id={one.chat_id}">{name(one.name, 40)}</a>'


def _brought(to: Paged) -> str:
    """Told to whom it is brought, where they read it."""
    return texts.BROUGHT.format(name=_mention(to) if to.is_person else texts.THIS_CHAT)


def _where(incident: Incident) -> list[str]:
    last = incident.last
    job = [f"{texts.JOB} {code(name(last.job_id, 80))}"] if last.job_id else []
    if last.job_name:
        job.append(name(last.job_name, 80))
    if last.max_attempts:
        job.append(texts.ATTEMPT.format(attempt=last.attempt, most=last.max_attempts))
    elif last.attempt:
        job.append(texts.ATTEMPT_ONLY.format(attempt=last.attempt))
    place = f"{texts.SOURCE} {name(incident.key.source)}" if incident.key.source else ""
    worked = workers_words(incident.workers)
    return [line for line in (" · ".join(job), " · ".join(part for part in (place, worked) if part)) if line]


def workers_words(workers: Mapping[str, int]) -> str:
    """`all on w-7`, or the workers it happened on most; nothing where they are not known."""
    ranked = sorted(workers.items(), key=lambda item: (-item[1], item[0]))
    if not ranked:
        return ""
    if len(ranked) == 1:
        return texts.ALL_ON.format(worker=name(ranked[0][0], 40))
    top = ", ".join(f"{name(worker, 30)} ×{count}" for worker, count in ranked[:TOP_WORKERS])
    return texts.ON_WORKERS.format(count=len(ranked), top=top)


def _what(incident: Incident) -> list[str]:
    lines = [pre(prose(incident.last.error or texts.NO_ERROR, ERROR_UNITS))]
    if incident.last.frame:
        lines.append(code(name(_short(incident.last.frame.strip()), FRAME_UNITS)))
    return lines


def _short(frame: str) -> str:
    """A frame with the end of a long path only: that tells the file, and a phone's line holds it."""
    return _LONG_PATH.sub("…/", frame)


def _when(incident: Incident, number: int) -> list[str]:
    about = f" · #{number}" if number else ""
    lines = [f"{span(incident.first_ms, incident.last_ms)}{about}"]
    if incident.deploy is not None:
        one = incident.deploy
        by = f" {texts.BY.format(name=name(one.by, 40))}" if one.by else ""
        before = age(max(0, incident.first_ms - one.at_ms) / 1000)
        what = bold(f"{name(one.service, 40)} {name(one.version, 40)}")
        lines.append(f"{texts.ICON_DEPLOY} {texts.DEPLOYED.format(what=what, by=by, before=before)}")
    return lines


def _before(incident: Incident) -> list[str]:
    """When it was there before, who took it then and what they wrote."""
    if incident.previous_ms is None:
        return []
    lines = [texts.SEEN_BEFORE.format(when=moment(incident.previous_ms), total=incident.total)]
    if incident.previous_by:
        lines.append(texts.TAKEN_THEN.format(name=bold(name(incident.previous_by, 40))))
    if incident.previous_note is not None:
        lines.append(note_line(incident.previous_note))
    return lines


def _notes(incident: Incident) -> list[Note]:
    return [one for one in incident.notes if one.episode == incident.episode][-SHOWN_NOTES:]


def note_line(one: Note) -> str:
    """What somebody wrote, and when."""
    text = prose(one.text, NOTE_UNITS).replace("\n", " ")
    return f"{texts.ICON_NOTE} {bold(name(one.by, 40))} {moment(one.at_ms)}: {text}"


def nudge_text(incident: Incident) -> str:
    """The short message below an alert that nobody has taken and that has grown, or whose silence is over."""
    return f"{_headline(incident)}\n{texts.NOBODY_HAS_IT}"


def brought_text(incident: Incident) -> str:
    """The short message below an alert where it is known already to whom it is brought now."""
    return f"{_headline(incident)}\n{_brought(incident.paged[-1])}"


def alert_buttons(number: int, incident: Incident, links: Links, seal: Seal) -> Buttons:
    """What can be done about an incident, and where more is told, where Telegram would accept such a link."""
    retry = (retry_button(number, incident, seal),) if links.can_act and is_retriable(incident) else ()
    rows = (acting_buttons(number, incident, seal), retry, _links(number, incident, links))
    return tuple(row for row in rows if row)


def acting_buttons(number: int, incident: Incident, seal: Seal) -> tuple[Button, ...]:
    """Take it, keep it quiet; nothing once it is over."""
    if incident.is_over:
        return ()
    about = f"{number}:{incident.episode}"
    row: list[Button] = []
    if incident.ack is None:
        row.append(Button(texts.ACK, data=seal.close(f"ack:{about}")))
    if incident.silenced_until_ms is None:
        row += [Button(texts.SILENCE.format(hours=one), data=seal.close(f"silence:{about}:{one}")) for one in (1, 4)]
    return tuple(row)


def is_retriable(incident: Incident) -> bool:
    """Whether the bridge can tell its failed jobs from others."""
    return not incident.rule and bool(_FINGERPRINT.fullmatch(incident.key.fingerprint))


def retry_button(number: int, incident: Incident, seal: Seal) -> Button:
    """Also when it is over: what failed has failed for good, and stays so."""
    label = texts.RETRY_ONE if incident.count == 1 else texts.RETRY.format(count=incident.count)
    return Button(label, data=seal.close(f"retry:{number}:{incident.episode}"))


def _links(number: int, incident: Incident, links: Links) -> tuple[Button, ...]:
    """A group sees one button, so it can hold nobody's login: who presses it is sent a link of their own."""
    row: list[Button] = []
    if links.page_url and links.logs_in:
        row.append(Button(texts.OPEN_PAGE, data=f"login:{number}"))
    elif is_linkable(links.page_url):
        row.append(Button(texts.OPEN_PAGE, url=links.page_of(incident)))
    runbook = links.runbook(incident.key)
    if is_linkable(runbook):
        row.append(Button(texts.RUNBOOK, url=runbook))
    return tuple(row)


def _page(incident: Incident, page_url: str) -> str:
    key = incident.key
    query = f"source={quote(key.source, safe='')}"
    if key.queue:
        query += f"&queue={quote(key.queue, safe='')}"
    if incident.last.job_id:
        query += f"&job_id={quote(incident.last.job_id[:200], safe='')}"
    return f"{page_url.rstrip('/')}/logs?{query}"


def is_linkable(url: str) -> bool:
    """Telegram refuses buttons that lead to this machine."""
    host = urlsplit(url).hostname or ""
    if not url or "." not in host:
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return not host.endswith(".localhost")


def _kinds(late: Late) -> str:
    count = len(late.kinds)
    return texts.MORE_KINDS.format(count=count - 1) if OTHER_KINDS in late.kinds else many(count, "kind")


def late_text(late: Late) -> str:
    """The summary of failures that are too old to ring one by one."""
    ranked = sorted(late.kinds.items(), key=lambda item: (-item[1], item[0]))
    were = "was" if late.failures == 1 else "were"
    lines = [
        texts.LATE_HEADLINE.format(failures=many(late.failures, "failure"), kinds=_kinds(late), were=were),
        span(late.first_ms, late.last_ms),
        *(f"• {name(label, 160)} ×{count}" for label, count in ranked[:TOP_KINDS]),
    ]
    if len(ranked) > TOP_KINDS:
        lines.append(texts.AND_MORE.format(count=len(ranked) - TOP_KINDS))
    return fit(lines)


def storm_text(storm: Storm) -> str:
    """Many incidents in one message; how many, and of which kinds most."""
    told = texts.STORM.format(kinds=storm.counted(len(storm.members)), failures=storm.counted(storm.failures))
    state = (
        texts.STORM_OVER
        if storm.is_over
        else texts.STORM_UNHEEDED.format(count=storm.counted(storm.unheeded))
        if storm.unheeded
        else texts.STORM_TAKEN
    )
    sign = texts.ICON_RESOLVED if storm.is_over else texts.ICON_STORM
    lines = [f"{sign} {name(storm.env, 20)} · {bold(told)} · {state}"]
    lines += [_storm_line(one) for one in storm.members[:TOP_KINDS]]
    if len(storm.members) > TOP_KINDS:
        lines.append(texts.AND_MORE.format(count=storm.counted(len(storm.members) - TOP_KINDS)))
    lines.append(texts.STORM_TIMES.format(began=moment(storm.began_ms), joined=clock(storm.joined_ms)))
    return fit(lines)


def storm_nudge_text(storm: Storm) -> str:
    """Below a storm's message: what has joined it since nothing of it waited for anybody."""
    return _storm_waits(storm, texts.STORM_AGAIN.format(count=storm.counted(storm.unheeded)))


def storm_grown_text(storm: Storm) -> str:
    """Below a storm's message: how much more often it has failed, the worst first."""
    return _storm_waits(storm, texts.STORM_GROWN.format(failures=storm.counted(storm.waiting_failures)))


def storm_brought_text(storm: Storm, to: Paged) -> str:
    """Below a storm's message, where it is known already to whom it is brought now."""
    told = _storm_waits(storm, texts.STORM_UNHEEDED.format(count=storm.counted(storm.unheeded)))
    return fit([*told.splitlines(), _brought(to)])


def _storm_waits(storm: Storm, told: str) -> str:
    waiting = [one for one in storm.members if one.is_unheeded]
    lines = [f"{texts.ICON_STORM} {name(storm.env, 20)} · {bold(told)}"]
    lines += [_storm_line(one) for one in waiting[:TOP_KINDS]]
    if len(waiting) > TOP_KINDS:
        lines.append(texts.AND_MORE.format(count=storm.counted(len(waiting) - TOP_KINDS)))
    return fit(lines)


def _storm_line(one: Member) -> str:
    sign = ICONS.get(one.phase, "•")
    return f"{sign} {place_name(one.key, 48)} · {name(one.title or 'Error', 60)} ×{one.count} · #{one.id}"


def storm_buttons(storm: Storm, seal: Seal) -> Buttons:
    """Take all of it at once; see each."""
    row = [OPEN_INCIDENTS]
    if storm.unheeded:
        row.insert(0, Button(texts.ACK_ALL, data=seal.close(f"ack:storm:{storm.id}")))
    return (tuple(row),)
