"""What people let the bridge do, what became of each job, and the messages that tell it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    texts = ("stage", "action", "env", "source", "queue", "kind", "by_id", "by_name", "note", "claimed_by")
    op.create_table(
        "actions",
        sa.Column("id", sa.BigInteger, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        sa.Column("wanted", JSONB, nullable=False),
        sa.Column("fates", JSONB, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("incident_id", sa.BigInteger),
        sa.Column("chat_id", sa.BigInteger, nullable=False),
        sa.Column("topic_id", sa.BigInteger),
        sa.Column("asked_ms", sa.BigInteger, nullable=False),
        sa.Column("begun_ms", sa.BigInteger),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("next_offset", sa.BigInteger),
        sa.Column("claimed_until", sa.DateTime(timezone=True)),
    )
    op.create_index("actions_on", "actions", ["id"], postgresql_where=sa.text("stage IN ('begun', 'following')"))
    op.create_table(
        "action_jobs",
        sa.Column("action_id", sa.BigInteger, sa.ForeignKey("actions.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("fate", sa.Text, nullable=False),
    )
    op.add_column("cards", sa.Column("action_id", sa.BigInteger, sa.ForeignKey("actions.id", ondelete="CASCADE")))
    op.create_index("cards_action", "cards", ["action_id"], postgresql_where=sa.text("action_id IS NOT NULL"))
