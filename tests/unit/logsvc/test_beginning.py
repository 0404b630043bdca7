"""Where to go on in a partition whose former owner does not know yet that it is ours."""

from dataclasses import dataclass, field

from tests.unit.logsvc.records import record
from tests.unit.logsvc.test_lane import FakeLog, FakeTable, Rig


@dataclass
class StillStoring(FakeTable):
    """Another stores one more record than Kafka had before, right before it is asked what is stored."""

    log: FakeLog = field(default_factory=FakeLog)

    async def newest_offsets(self, table: str, topic: str, partition: int) -> dict[str, int]:
        one = record(self.log.records[-1].offset + 2)
        self.log.records.append(one)
        self.rows.setdefault(one.offset, []).append(0)
        self.log.commits.append((one.offset + 1, ""))
        return await super().newest_offsets(table, topic, partition)


async def test_what_a_former_owner_stores_meanwhile_is_no_log_that_began_anew() -> None:
    log = FakeLog([record(0), record(1)], [(2, "")])
    rig = Rig(log=log, table=StillStoring(rows={0: [0], 1: [0]}, log=log))
    async with rig.owner() as lane:
        assert lane.next_offset is not None
        await rig.until(lambda: lane.next_offset == log.records[-1].offset + 1)
    assert rig.table.is_exact
    assert all(token.startswith("c:") for token in rig.table.tokens)
