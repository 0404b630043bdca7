"""The bot that looks at all of history each second, and takes a source watched for a second as watched for an hour."""

import sys
from typing import Any

from bot.__main__ import main
from bot.queues.snapshots import Snapshots
from bot.rules import habits

if __name__ == "__main__":
    watched: Any = Snapshots.watched
    Snapshots.watched = lambda self, seconds: watched(self, min(seconds, 1.0))
    habits.LOOK_SECONDS = 1.0
    habits.EVERY_MINUTES = dict.fromkeys(habits.EVERY_MINUTES, 1)
    sys.argv = ["bot"]
    sys.exit(main())
