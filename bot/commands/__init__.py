"""The commands, one file each. A file has a class that meets bot.desk.Command and knows its own name."""

from bot.commands.failed import Failed
from bot.commands.help import Help
from bot.commands.job import Job
from bot.commands.queue import Queue
from bot.commands.queues import Queues
from bot.commands.start import Start
from bot.commands.status import Status
from bot.commands.whoami import WhoAmI
from bot.desk import Command, Pressable

_queues, _queue, _failed, _status = Queues(), Queue(), Failed(), Status()

COMMANDS: tuple[Command, ...] = (Start(), _queues, _queue, _failed, Job(), _status, WhoAmI(), Help())
"""In the order /help and Telegram's list show them."""

PRESSES: tuple[Pressable, ...] = (_queues, _queue, _failed, _status)
"""Those whose buttons people press; the button's data begins with the command's name and a colon."""
WHOAMI = WhoAmI().name
LISTED = tuple((one.name, one.about) for one in COMMANDS if one.about)
