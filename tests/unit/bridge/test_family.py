"""What goes with a removal is counted in parts, however many jobs are named."""

from collections.abc import Sequence
from typing import cast

from bridge.actions.family import KEYS_A_READ, descendants
from bridge.sources.bullmq.door import Command, Door, Reply
from bridge.sources.bullmq.keys import Keys

PARENTS = [f"parent-{number}" for number in range(KEYS_A_READ + 1)]


class Flows:
    """Each parent has a child that waits, one that ended and has a child too, and one that is forgotten."""

    def __init__(self) -> None:
        self.most = 0

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        self.most = max(self.most, len(commands))
        return [self._answer(command) for command in commands]

    def _answer(self, command: Command) -> Reply:
        name, key = command[0], str(command[1])
        job_id, _, kind = key.removeprefix("bull:mail:").partition(":")
        if name == "EXISTS":
            return int(not job_id.startswith("forgotten"))
        found: dict[str, list[bytes]] = {}
        if job_id in PARENTS:
            ended = [
                f"bull:mail:ended-{job_id}".encode(),
                b"its result",
                f"bull:mail:forgotten-{job_id}".encode(),
                b"1",
            ]
            found = {"dependencies": [f"bull:mail:waits-{job_id}".encode()], "processed": ended}
        elif job_id.startswith("ended-"):
            found = {"unsuccessful": [f"bull:other:of-{job_id}".encode(), b"bull:mail:parent-0"]}
        return found.get(kind, [])


async def test_descendants_are_counted_in_parts_each_once_if_they_are_there() -> None:
    flows = Flows()
    assert await descendants(cast(Door, flows), Keys("bull", "mail"), PARENTS) == 3 * len(PARENTS)
    assert flows.most <= 4 * KEYS_A_READ
