"""How loud a storm was when people last heard of it, and which summaries of what was read late are over."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

MEMBERS = "SELECT coalesce(sum(count), 0) FROM incidents WHERE incidents.storm_id = storms.id"

A_DAY_AGO = "extract(epoch FROM now()) * 1000 - 86400000"
"""Nobody waits to hear that a summary from before is over: it would be told of all of them at once, weeks late."""


def upgrade() -> None:
    op.add_column("storms", sa.Column("told_ms", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("storms", sa.Column("told_count", sa.BigInteger, nullable=False, server_default="0"))
    op.execute(f"UPDATE storms SET told_ms = joined_ms, told_count = ({MEMBERS})")
    op.add_column("late_summaries", sa.Column("ended_ms", sa.BigInteger))
    op.execute(f"UPDATE late_summaries SET ended_ms = touched_ms WHERE touched_ms < {A_DAY_AGO}")
    op.create_index("late_summaries_on", "late_summaries", ["id"], postgresql_where=sa.text("ended_ms IS NULL"))
