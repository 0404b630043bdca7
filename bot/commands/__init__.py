"""The commands, one file each. A file has a class that meets bot.desk.Command and knows its own name."""

from bot.commands.ack import Ack
from bot.commands.audit import Audit
from bot.commands.chart import ChartCommand
from bot.commands.digest import Digest
from bot.commands.errors import Errors
from bot.commands.failed import Failed
from bot.commands.go import Go
from bot.commands.grant import Grant, Revoke
from bot.commands.help import Help
from bot.commands.here import Here, Subscribe
from bot.commands.incidents import Incidents
from bot.commands.job import Job
from bot.commands.login import Login
from bot.commands.logs import Logs
from bot.commands.maintenance import Maintenance
from bot.commands.offer import Offer
from bot.commands.oncall import HandoverCommand, OnCall
from bot.commands.pause import Pause, Resume
from bot.commands.promote import Promote
from bot.commands.queue import Queue
from bot.commands.queues import Queues
from bot.commands.resolve import Resolve
from bot.commands.retry import Retry
from bot.commands.route import RouteCommand
from bot.commands.rules import Rules
from bot.commands.schedulers import SchedulersCommand
from bot.commands.silence import SilenceCommand, SilenceList
from bot.commands.start import Start
from bot.commands.status import Status
from bot.commands.trial import TrialCommand
from bot.commands.whoami import WhoAmI
from bot.desk import Command, Pressable

_queues, _queue, _failed, _job, _status = Queues(), Queue(), Failed(), Job(), Status()
_incidents, _ack, _silence, _rules, _oncall = Incidents(), Ack(), SilenceCommand(), Rules(), OnCall()
_errors, _schedulers, _route, _test = Errors(), SchedulersCommand(), RouteCommand(), TrialCommand()
_retry, _audit, _chart, _login, _resolve = Retry(), Audit(), ChartCommand(), Login(), Resolve()
_handover, _digest, _grant = HandoverCommand(), Digest(), Grant()

COMMANDS: tuple[Command, ...] = (
    *(Start(), _queues, _queue, _chart, _failed, _job, _errors, _schedulers, _incidents, _ack, _silence),
    *(_resolve, Maintenance(), Logs(), _retry, Promote(), Pause(), Resume()),
    *(_oncall, _handover, _digest),
    *(_route, Here(), Subscribe(), _test, _rules, _status, _audit, _login, WhoAmI(), _grant, Revoke(), Help()),
)
"""In the order /help and Telegram's list show them."""

PRESSES: tuple[Pressable, ...] = (
    *(_queues, _queue, _chart, _failed, _job, _errors, _schedulers, Offer()),
    *(_incidents, SilenceList(), _route, _test, _rules, _status, _audit, _handover, _digest, _login, _grant),
)
"""Those whose buttons people press; the button's data begins with the command's name and a colon."""
ACTS: tuple[Pressable, ...] = (_ack, _silence, _resolve, _retry, Go(), _oncall)
"""Those whose buttons change something: only a sealed button of ours does, and only for who may act."""
ANYWHERE = frozenset((WhoAmI().name, Here().name))
"""What an admin may say in a group where no alerts go yet."""
CHANGES = frozenset(
    one.name
    for one in (
        *(_ack, _silence, _resolve, Maintenance(), _retry, Promote(), Pause(), Resume()),
        *(_oncall, Here(), Subscribe(), _test, _rules, _grant, Revoke()),
    )
)
"""What changes something by being said: not when it was said long ago."""
LISTED = tuple((one.name, one.about) for one in COMMANDS if one.about)
