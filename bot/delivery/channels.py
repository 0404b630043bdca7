"""Channels beside Telegram, and what they are sent: Slack, PagerDuty, a signed webhook (pure).

They hear when an incident rings, when somebody takes it and when it is over; counts that grow are told in Telegram and
on the page. Addresses and keys are secrets: a channel is named by its kind and a piece of its secret's hash, so that it
keeps its name whatever is set beside it.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from string import Template
from typing import Any, cast

from bot.delivery.addresses import secret_address
from bot.incidents.failures import Key
from bot.incidents.late import Late
from bot.incidents.machine import Incident
from bot.incidents.storms import Storm
from bot.routing.patterns import Pattern, read_pattern
from tocsin.times import rfc3339

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
SUMMARY = 1024
"""Characters that PagerDuty takes. Source: developer.pagerduty.com, Events API v2, payload.summary."""


class Kind(StrEnum):
    SLACK = "slack"
    PAGERDUTY = "pagerduty"
    WEBHOOK = "webhook"


class What(StrEnum):
    """What happened. ring: it began, or is back."""

    RING = "ring"
    ACK = "ack"
    RESOLVE = "resolve"


@dataclass(frozen=True)
class Channel(Pattern):
    """One entry of the settings. secret: an address, or PagerDuty's routing key."""

    kind: Kind
    secret: str = field(repr=False)
    env: str = "*"
    source: str = "*"
    queue: str = "*"

    @property
    def name(self) -> str:
        return f"{self.kind}-{hashlib.sha256(self.secret.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Request:
    """One POST."""

    url: str = field(repr=False)
    body: bytes
    headers: Mapping[str, str]


_NEXT_URL = re.compile(r",(?=(?:[^,=]*=)?\s*https?://)")
_URL_ENTRY = re.compile(r"(?:(?P<pattern>.+?)\s*=\s*)?(?P<secret>https?://\S+)")
_KEY_ENTRY = re.compile(r"(?:(?P<pattern>.+?)\s*=\s*)?(?P<secret>[A-Za-z0-9_+-]{16,64})")


def parse_addresses(kind: Kind, text: str) -> tuple[Channel, ...]:
    """Read `[env or source/queue glob=]https://…`, comma-separated. Raises ValueError that shows no address."""
    entries = [entry.strip() for entry in _NEXT_URL.split(text) if entry.strip()]
    return tuple(_parse(kind, number, _URL_ENTRY, entry) for number, entry in enumerate(entries, start=1))


def parse_keys(text: str) -> tuple[Channel, ...]:
    """Read `[env or source/queue glob=]ROUTING_KEY`, comma-separated. Raises ValueError that shows no key."""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    return tuple(_parse(Kind.PAGERDUTY, number, _KEY_ENTRY, entry) for number, entry in enumerate(entries, start=1))


def _parse(kind: Kind, number: int, form: re.Pattern[str], entry: str) -> Channel:
    found = form.fullmatch(entry)
    if found is None:
        wanted = "ROUTING_KEY" if kind is Kind.PAGERDUTY else "https://…"
        raise ValueError(f"entry {number} is not [env or source/queue glob=]{wanted}")
    if kind is not Kind.PAGERDUTY:
        try:
            secret_address(found["secret"])
        except ValueError as wrong:
            raise ValueError(f"entry {number}: {wrong}") from None
    return Channel(kind, found["secret"], *read_pattern(found["pattern"] or ""))


def knows_rounds(name: str) -> bool:
    """Whether a channel of this name files what it hears by its subject, and ends each; to Slack all is one talk."""
    return not name.startswith(f"{Kind.SLACK}-")


def subject_of(number: int, episode: int) -> str:
    """An incident's episode, as channels know it."""
    return f"incident:{number}:{episode}"


def subject_of_storm(number: int) -> str:
    """A storm, as channels know it."""
    return f"storm:{number}"


def told_of(number: int, incident: Incident, text: str, link: str) -> dict[str, Any]:
    """All that a channel may hear of an incident: no payload, no result, no log line. text: the card, as plain text."""
    key, last = incident.key, incident.last
    return {
        "number": number,
        "episode": incident.episode,
        "env": key.env,
        "source": key.source,
        "queue": key.queue,
        "fingerprint": key.fingerprint,
        "rule": incident.rule or "failed",
        "phase": str(incident.phase),
        "count": incident.count,
        "error_type": last.error_type or "Error",
        "error": last.error,
        "frame": last.frame,
        "job_id": last.job_id,
        "job_name": last.job_name,
        "attempt": last.attempt,
        "max_attempts": last.max_attempts,
        "workers": dict(incident.workers),
        "acked_by": incident.ack.name if incident.ack else "",
        "first_at": rfc3339(incident.first_ms),
        "last_at": rfc3339(incident.last_ms),
        "text": text,
        "link": link,
    }


def told_of_storm(storm: Storm, text: str, link: str) -> dict[str, Any]:
    """The same of a storm."""
    first = storm.members[0].key
    return {
        "number": storm.id,
        "env": storm.env,
        "source": first.source,
        "queue": first.queue,
        "rule": "storm",
        "phase": "resolved" if storm.is_over else "firing",
        "count": storm.failures,
        "error_type": f"{storm.counted(len(storm.members))} incidents at once",
        "error": "",
        "first_at": rfc3339(storm.began_ms),
        "last_at": rfc3339(storm.joined_ms),
        "text": text,
        "link": link,
    }


def told_of_late(number: int, key: Key, late: Late, text: str, link: str) -> dict[str, Any]:
    """The same of a summary of what was read late. key: of the first in it."""
    return {
        "number": number,
        "env": key.env,
        "source": key.source,
        "queue": key.queue,
        "rule": "late",
        "phase": "firing",
        "count": late.failures,
        "error_type": "Failures heard of late",
        "error": "",
        "first_at": rfc3339(late.first_ms),
        "last_at": rfc3339(late.last_ms),
        "text": text,
        "link": link,
    }


@dataclass(frozen=True)
class Form:
    """How requests are made. template: JSON whose strings hold $names of what is told; None = all of it."""

    pagerduty_url: str = PAGERDUTY_URL
    webhook_secret: str = field(default="", repr=False)
    template: Any = None

    def request(
        self, channel: Channel, delivery: int, subject: str, what: What, told: Mapping[str, Any], now: int
    ) -> Request:
        """What to send. delivery: the same for every try. now: seconds since 1970, in the signature."""
        match channel.kind:
            case Kind.SLACK:
                return _json(channel.secret, _slack(told))
            case Kind.PAGERDUTY:
                return _json(self.pagerduty_url, _pagerduty(channel.secret, subject, what, told))
            case Kind.WEBHOOK:
                return self._webhook(channel, delivery, subject, what, told, now)

    def _webhook(
        self, channel: Channel, delivery: int, subject: str, what: What, told: Mapping[str, Any], now: int
    ) -> Request:
        values = {"version": 1, "event": str(what), "subject": subject, "delivery": delivery, **told}
        body = json.dumps(
            values if self.template is None else _filled(self.template, values), ensure_ascii=False
        ).encode()
        headers = {"tocsin-delivery": str(delivery), "tocsin-timestamp": str(now)}
        if self.webhook_secret:
            headers["tocsin-signature"] = f"v1={sign(self.webhook_secret, now, body)}"
        return Request(channel.secret, body, {"content-type": "application/json", **headers})


def sign(secret: str, now: int, body: bytes) -> str:
    """HMAC-SHA256 of `TIMESTAMP.BODY`, in hex: who checks it also refuses what is old."""
    return hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()


def _json(url: str, body: Mapping[str, Any]) -> Request:
    return Request(url, json.dumps(body, ensure_ascii=False).encode(), {"content-type": "application/json"})


def _slack(told: Mapping[str, Any]) -> dict[str, Any]:
    """The card as text. Source: docs.slack.dev, formatting message text: escape & < >."""
    headline, _, rest = str(told["text"]).partition("\n")
    link = f"\n<{told['link']}|Open page>" if told["link"] else ""
    return {"text": f"*{_escaped(headline)}*\n{_escaped(rest)}{link}".strip(), "unfurl_links": False}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _pagerduty(routing_key: str, subject: str, what: What, told: Mapping[str, Any]) -> dict[str, Any]:
    """Source: developer.pagerduty.com, Events API v2."""
    action = {What.RING: "trigger", What.ACK: "acknowledge", What.RESOLVE: "resolve"}[what]
    event: dict[str, Any] = {"routing_key": routing_key, "event_action": action, "dedup_key": f"tocsin:{subject}"}
    if what is not What.RING:
        return event
    place = "/".join(part for part in (str(told["source"]), str(told["queue"])) if part)
    event["payload"] = {
        "summary": str(told["text"]).partition("\n")[0][:SUMMARY],
        "source": place or "tocsin",
        "severity": "error" if told["rule"] in ("failed", "storm") else "warning",
        "timestamp": told["last_at"],
        "component": told["queue"] or told["source"],
        "group": told["env"],
        "class": told["error_type"],
        "custom_details": {name: value for name, value in told.items() if name not in ("link",)},
    }
    event["client"] = "Tocsin"
    if told["link"]:
        event["client_url"] = told["link"]
        event["links"] = [{"href": told["link"], "text": "Open page"}]
    return event


def read_template(text: str) -> Any:
    """A body template: a JSON object. Raises ValueError that says where it is none."""
    try:
        template: Any = json.loads(text)
    except json.JSONDecodeError as wrong:
        raise ValueError(f"the template is not JSON: {wrong.msg}, line {wrong.lineno}") from None
    if not isinstance(template, dict):
        raise ValueError("the template is not a JSON object")
    return cast(Any, template)


def _filled(template: Any, values: Mapping[str, Any]) -> Any:
    """Fill the names into every string; a string that is one name alone becomes its value, number or object."""
    if isinstance(template, dict):
        return {str(name): _filled(value, values) for name, value in cast(dict[Any, Any], template).items()}
    if isinstance(template, list):
        return [_filled(value, values) for value in cast(list[Any], template)]
    if not isinstance(template, str):
        return template
    if template.startswith("$") and template[1:] in values:
        return values[template[1:]]
    return Template(template).safe_substitute(values)


def matching(channels: Sequence[Channel], env: str, source: str, queue: str) -> list[Channel]:
    """The channels that hear of a queue; of one address only the first entry that matches."""
    chosen: dict[tuple[Kind, str], Channel] = {}
    for one in channels:
        if one.matches(env, source, queue):
            chosen.setdefault((one.kind, one.secret), one)
    return list(chosen.values())
