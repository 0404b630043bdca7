"""Puts the room of the live streams together: what viewers may open, and what feeds it."""

from dataclasses import dataclass

from logsvc.live.crowd import Crowd
from logsvc.live.hub import Hub
from logsvc.live.origin import Gate
from logsvc.live.past import Archive
from logsvc.live.refresh_feed import RefreshFeed
from logsvc.live.refresh_socket import RefreshSocket
from logsvc.live.ring import Ring
from logsvc.live.sse import LiveEvents
from logsvc.live.tail import Tail
from logsvc.live.websocket import LiveSocket
from logsvc.metrics import Metrics
from logsvc.settings import LogsvcSettings
from tocsin.health import Health


@dataclass(frozen=True)
class Live:
    """The tail fills the hub; whoever comes through the gate looks at that by the socket or by events.

    feed: of `/ws`, which refreshes serves.
    """

    hub: Hub
    tail: Tail
    feed: RefreshFeed
    gate: Gate
    socket: LiveSocket
    events: LiveEvents
    refreshes: RefreshSocket


def build_live(settings: LogsvcSettings, metrics: Metrics, health: Health) -> Live:
    """Nothing runs yet: hub, tail and feed are supervised parts."""
    hub = Hub(Ring(settings.logsvc_ring_rows, settings.logsvc_ring_mib * 1024 * 1024), metrics)
    feed = RefreshFeed(settings)
    hub.listeners.append(feed.take)
    public_url = str(settings.public_url) if settings.public_url else None
    gate = Gate.of(public_url, settings.logsvc_allowed_origins.split(","), settings.logsvc_port)
    crowd = Crowd(settings.logsvc_viewers, settings.logsvc_viewers_per_address)
    archive = Archive(settings)
    return Live(
        hub=hub,
        tail=Tail(settings, hub, health),
        feed=feed,
        gate=gate,
        socket=LiveSocket(hub, archive, gate, crowd, metrics),
        events=LiveEvents(hub, archive, gate, crowd, metrics),
        refreshes=RefreshSocket(feed, gate, crowd, metrics),
    )
