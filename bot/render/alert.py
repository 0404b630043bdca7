"""The alert message and the late summary (pure)."""

from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from bot import texts
from bot.incidents import OTHER_KINDS, Incident, Late, Phase
from bot.messages import Button, Buttons
from bot.render.markup import bold, code, fit, name, pre, prose
from bot.render.times import moment, span

ERROR_UNITS = 700
FRAME_UNITS = 200
TOP_KINDS = 10


def alert_text(incident: Incident) -> str:
    """One incident. The first line decides, because it is all a push notification shows."""
    return fit([_headline(incident), *_where(incident), *_what(incident), *_when(incident)])


def _headline(incident: Incident) -> str:
    key, last = incident.key, incident.last
    icon = texts.ICON_RESOLVED if incident.phase is Phase.RESOLVED else texts.ICON_FAILED
    times = f"×{incident.count}"
    state = ""
    if incident.phase is Phase.RESOLVED:
        state = f" · {texts.RESOLVED}"
    elif incident.episode > 1:
        state = f" · {texts.BACK}"
    kind = name(last.error_type or "Error", 60)
    return f"{icon} {name(key.env, 20)} · {bold(name(key.queue))} · {kind} {bold(times)}{state}"


def _where(incident: Incident) -> list[str]:
    last = incident.last
    job = [f"{texts.JOB} {code(name(last.job_id, 80))}"]
    if last.job_name:
        job.append(name(last.job_name, 80))
    if last.max_attempts:
        job.append(texts.ATTEMPT.format(attempt=last.attempt, most=last.max_attempts))
    elif last.attempt:
        job.append(texts.ATTEMPT_ONLY.format(attempt=last.attempt))
    lines = [" · ".join(job)]
    source = f"{texts.SOURCE} {name(incident.key.source)}"
    lines.append(f"{source} · {texts.WORKER} {name(last.worker, 40)}" if last.worker else source)
    return lines


def _what(incident: Incident) -> list[str]:
    lines = [pre(prose(incident.last.error or texts.NO_ERROR, ERROR_UNITS))]
    if incident.last.frame:
        lines.append(code(name(incident.last.frame.strip(), FRAME_UNITS)))
    return lines


def _when(incident: Incident) -> list[str]:
    lines = [span(incident.first_ms, incident.last_ms)]
    if incident.previous_ms is not None:
        lines.append(texts.SEEN_BEFORE.format(when=moment(incident.previous_ms), total=incident.total))
    return lines


def alert_buttons(incident: Incident, page_url: str) -> Buttons:
    """A link to the job on the page, where Telegram would accept such a link."""
    if not is_linkable(page_url):
        return ()
    key = incident.key
    query = f"source={quote(key.source, safe='')}&queue={quote(key.queue, safe='')}"
    if incident.last.job_id:
        query += f"&job_id={quote(incident.last.job_id[:200], safe='')}"
    return ((Button(texts.OPEN_PAGE, url=f"{page_url.rstrip('/')}/logs?{query}"),),)


def is_linkable(page_url: str) -> bool:
    """Telegram refuses buttons that lead to this machine."""
    host = urlsplit(page_url).hostname or ""
    if not page_url or "." not in host:
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return not host.endswith(".localhost")


def _kinds(late: Late) -> str:
    return texts.MORE_THAN.format(count=len(late.kinds) - 1) if OTHER_KINDS in late.kinds else str(len(late.kinds))


def late_text(late: Late) -> str:
    """The summary of failures that are too old to ring one by one."""
    ranked = sorted(late.kinds.items(), key=lambda item: (-item[1], item[0]))
    lines = [
        texts.LATE_HEADLINE.format(failures=late.failures, kinds=_kinds(late)),
        span(late.first_ms, late.last_ms),
        *(f"• {name(label, 160)} ×{count}" for label, count in ranked[:TOP_KINDS]),
    ]
    if len(ranked) > TOP_KINDS:
        lines.append(texts.AND_MORE.format(count=len(ranked) - TOP_KINDS))
    return fit(lines)
