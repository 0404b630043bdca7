"""BullMQ's key names, `<prefix>:<queue>:<suffix>`. Job ids may hold colons: a key is never split by counting them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one queue."""

    prefix: str
    queue: str

    def of(self, suffix: str) -> str:
        """Any key of the queue: `wait`, `active`, `meta` …"""
        return f"{self.prefix}:{self.queue}:{suffix}"

    @property
    def events(self) -> str:
        return self.of("events")

    @property
    def meta(self) -> str:
        return self.of("meta")

    def job(self, job_id: str) -> str:
        return self.of(job_id)

    def lock(self, job_id: str) -> str:
        return self.of(f"{job_id}:lock")

    def logs(self, job_id: str) -> str:
        return self.of(f"{job_id}:logs")


def queue_of_meta(prefix: str, key: str) -> str | None:
    """The queue a `…:meta` key belongs to, or None if it is no queue's of this prefix.

    The prefix may hold colons, a queue's name may not; an empty name is BullMQ's Relay, not a queue.
    """
    head, tail = f"{prefix}:", ":meta"
    if not (key.startswith(head) and key.endswith(tail)):
        return None
    queue = key[len(head) : -len(tail)]
    return queue if queue and ":" not in queue else None
