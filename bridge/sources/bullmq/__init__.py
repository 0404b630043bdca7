"""Reading BullMQ from its Redis, with reads only: XREAD, HMGET, LRANGE, counts. Nothing here writes to Redis.

door is the only file that imports redis. stream, attempts, memory and translate are pure: positions and meaning.
"""
