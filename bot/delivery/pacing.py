"""How fast we may speak to each chat (pure; the clock is passed in).

Telegram's limits are about 1 message a second to one chat, 20 a minute to one group, 30 a second over all; the true
ones are not published, so a 429 is obeyed for that chat alone.
"""

from collections import Counter
from dataclasses import dataclass, field

GROUP_BURST, GROUP_PER_MINUTE = 5, 15
"""Together the 20 that Telegram lets a group have in any minute."""
CHAT_PER_SECOND = 1.0
CHAT_BURST = 3
OVERALL_PER_SECOND = 25
MOST_DEBT = 2
"""However much people ask, an alert must not wait long behind the answers."""
ROUNDING = 1e-6
"""A token this nearly there is there; else a wait could be shorter than the clock can tell."""


@dataclass
class Bucket:
    """A token bucket, full at first."""

    size: float
    per_second: float
    tokens: float = -1
    at: float = 0

    def wait(self, now: float) -> float:
        """Seconds until one token is there; 0 = now."""
        self._fill(now)
        missing = 1 - self.tokens
        return missing / self.per_second if missing > ROUNDING else 0.0

    def is_full(self, now: float) -> bool:
        """Whether it is as if nothing had been taken."""
        self._fill(now)
        return self.tokens >= self.size

    def take(self, now: float) -> None:
        """Use a token, even one that is not there: answers to people go out at once, alerts wait for them a little."""
        self._fill(now)
        self.tokens = max(self.tokens - 1, -MOST_DEBT)

    def _fill(self, now: float) -> None:
        if self.tokens == -1 and self.at == 0:
            self.tokens = self.size
        self.tokens = min(self.size, self.tokens + max(0.0, now - self.at) * self.per_second)
        self.at = now


@dataclass
class _Chat:
    buckets: tuple[Bucket, ...]
    frozen_until: float = 0

    def is_as_new(self, now: float) -> bool:
        """Whether nothing would change if we had never spoken to it."""
        return self.frozen_until <= now and all(bucket.is_full(now) for bucket in self.buckets)


@dataclass
class Pacer:
    """Seconds by any clock that only goes forward. answered: chat -> answers that the other bots have not heard of."""

    answered: Counter[int] = field(default_factory=Counter[int])
    overall: Bucket = field(default_factory=lambda: Bucket(OVERALL_PER_SECOND, OVERALL_PER_SECOND))
    _chats: dict[int, _Chat] = field(default_factory=dict[int, _Chat])

    def wait(self, chat_id: int, now: float) -> float:
        """Seconds until a message may go to this chat; 0 = now."""
        chat = self._chat(chat_id)
        waits = [bucket.wait(now) for bucket in (*chat.buckets, self.overall)]
        return max(chat.frozen_until - now, *waits, 0.0)

    def spoke(self, chat_id: int, now: float) -> None:
        """Count a message or an edit."""
        for bucket in (*self._chat(chat_id).buckets, self.overall):
            bucket.take(now)

    def answer(self, chat_id: int, now: float) -> None:
        """Count an answer to somebody, which waits for nothing."""
        self.spoke(chat_id, now)
        self.answered[chat_id] += 1

    def freeze(self, chat_id: int, seconds: float, now: float) -> None:
        """Telegram asked for silence in this chat."""
        chat = self._chat(chat_id)
        chat.frozen_until = max(chat.frozen_until, now + seconds)

    def frozen(self, now: float) -> dict[int, float]:
        """Chats that must not be spoken to -> seconds left."""
        return {chat_id: chat.frozen_until - now for chat_id, chat in self._chats.items() if chat.frozen_until > now}

    def resting(self, now: float) -> dict[int, float]:
        """Every chat that may not have a message now -> seconds until it may. Those long at rest are forgotten."""
        self._chats = {chat_id: chat for chat_id, chat in self._chats.items() if not chat.is_as_new(now)}
        return {chat_id: wait for chat_id in self._chats if (wait := self.wait(chat_id, now)) > 0}

    def _chat(self, chat_id: int) -> _Chat:
        known = self._chats.get(chat_id)
        if known is None:
            buckets = [Bucket(CHAT_BURST, CHAT_PER_SECOND)]
            if chat_id < 0:
                buckets.append(Bucket(GROUP_BURST, GROUP_PER_MINUTE / 60))
            known = self._chats[chat_id] = _Chat(tuple(buckets))
        return known
