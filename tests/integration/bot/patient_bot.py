"""The bot that polls alone only after a lease's time without an answer of Postgres, as it may be on a busy machine."""

import sys

from bot import turns
from bot.__main__ import main
from tests.eventually import READY_SECONDS

if __name__ == "__main__":
    turns.ANSWER_SECONDS = turns.LEASE_SECONDS
    turns.PATIENCE_SECONDS = float(READY_SECONDS)
    sys.argv = ["bot"]
    sys.exit(main())
