"""Every question of the API, with what answers it."""

from litestar.handlers import HTTPRouteHandler

from logsvc.api.access import access_routes
from logsvc.api.actions import actions_route
from logsvc.api.backlog import backlog_routes
from logsvc.api.deadletters import dead_letter_routes
from logsvc.api.durations import durations_routes
from logsvc.api.errors import errors_routes
from logsvc.api.export import Exports
from logsvc.api.handling import BotIncidents
from logsvc.api.histogram import histogram_routes
from logsvc.api.jobs import jobs_routes
from logsvc.api.journal import Journal
from logsvc.api.logs import logs_routes
from logsvc.api.markers import markers_routes
from logsvc.api.of_bot import bot_routes
from logsvc.api.progress import progress_routes
from logsvc.api.queues import queues_routes
from logsvc.api.schedulers import schedulers_routes
from logsvc.api.system import system_routes
from logsvc.auth.door import Door
from logsvc.bot import Bot
from logsvc.coverage import HistoryCoverage
from logsvc.deadletters.replay import Replayer
from logsvc.ingest.batch import QUEUE_SNAPSHOTS
from logsvc.ingest.ingest import Ingest
from logsvc.live.hub import Hub
from logsvc.neighbours import Neighbours
from logsvc.snapshots import Snapshots
from logsvc.store import Store
from tocsin.breakers import Breakers


def all_routes(
    *,
    journal: Journal,
    store: Store,
    history: HistoryCoverage,
    ingest: Ingest,
    snapshots: Snapshots,
    hub: Hub,
    exports: Exports,
    replayer: Replayer,
    bot: Bot,
    door: Door,
    neighbours: Neighbours,
    breakers: Breakers,
    trace_url_template: str | None,
) -> list[HTTPRouteHandler]:
    """In the order in which /openapi.json describes them."""
    return [
        *queues_routes(snapshots, history),
        *jobs_routes(journal),
        *logs_routes(journal, exports),
        *progress_routes(exports),
        *histogram_routes(journal),
        *errors_routes(journal, BotIncidents(bot)),
        *durations_routes(journal),
        *backlog_routes(journal, lambda: ingest.completeness[QUEUE_SNAPSHOTS].as_of_ms),
        *markers_routes(journal, store),
        *schedulers_routes(snapshots, history, journal),
        *system_routes(ingest, hub, snapshots, journal, history, breakers, neighbours),
        *dead_letter_routes(snapshots.letters, replayer, bot),
        *access_routes(door, bot, trace_url_template),
        actions_route(bot),
        *bot_routes(bot),
    ]
