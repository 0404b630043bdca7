"""Keys of the advisory locks that bots hold in Postgres, all in one place: two alike would wait for one another.

Each is held by a transaction, so it works behind PgBouncer too.
"""

from enum import IntEnum, unique


@unique
class Lock(IntEnum):
    """MIGRATION: who changes tables. SILENCES: whoever begins or ends one holds it alone, who counts what it may cover
    with others. REMINDERS: whoever wants reminders. ROTA: who replaces it."""

    MIGRATION = 0x746F6373
    SILENCES = 0x746F6374
    REMINDERS = 0x746F6375
    ROTA = 0x746F6376
