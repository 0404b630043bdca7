"""Queues with a long past, made inside Redis in seconds: what Tocsin meets at its first start."""

from tests.clients import redis

FILL = """
local jobs = tonumber(ARGV[2]) / 4
for number = tonumber(ARGV[4]), tonumber(ARGV[5]) do
  local queue = 'bull:old-' .. number
  redis.call('HSET', queue .. ':meta', 'opts.maxLenEvents', 10000, 'version', 'bullmq:6.7.0')
  for job = 1, jobs do
    redis.call('XADD', queue .. ':events', '*', 'event', 'added', 'jobId', job, 'name', 'mail')
    redis.call('XADD', queue .. ':events', '*', 'event', 'waiting', 'jobId', job)
    redis.call('XADD', queue .. ':events', '*', 'event', 'active', 'jobId', job, 'prev', 'waiting')
    if job <= tonumber(ARGV[3]) then
      redis.call('XADD', queue .. ':events', '*',
        'event', 'failed', 'jobId', job, 'failedReason', 'boom', 'prev', 'active')
      redis.call('ZADD', queue .. ':failed', 1700000000000 + job, job)
      redis.call('HSET', queue .. ':' .. job, 'name', 'mail', 'data', '{}', 'opts', '{"attempts":1}',
        'ats', 1, 'atm', 1, 'failedReason', 'boom', 'stacktrace', '["Error: boom\\\\n    at send (/app/mail.js:1:2)"]',
        'timestamp', 1700000000000,
        'finishedOn', 1700000000000 + job, 'processedOn', 1700000000000)
    else
      redis.call('XADD', queue .. ':events', '*',
        'event', 'completed', 'jobId', job, 'returnvalue', 'null', 'prev', 'active')
    end
  end
end
"""


async def fill(redis_url: str, *, queues: int, events: int, failed: int) -> None:
    """Make queues with `events` old entries each, `failed` jobs altogether of which are in the failed state."""
    client = redis.from_url(redis_url)
    try:
        for first in range(1, queues + 1, 10):
            last = min(queues, first + 9)
            await client.eval(FILL, 0, queues, events, -(-failed // queues), first, last)
    finally:
        await client.aclose()
