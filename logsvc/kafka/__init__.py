"""The one door to Kafka: a member of the ingest group, readers without a group, single records, and the dead-letter
writer.

Every reader reads committed records only.
"""

from logsvc.kafka.calls import NotPlaced, OutOfRange
from logsvc.kafka.dead_letters import DeadLetters
from logsvc.kafka.member import Member
from logsvc.kafka.originals import Originals
from logsvc.kafka.reader import Reader, Replay

__all__ = ["DeadLetters", "Member", "NotPlaced", "Originals", "OutOfRange", "Reader", "Replay"]
