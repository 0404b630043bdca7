"""Incidents, outbox, Kafka positions.

A migration says what was, so it repeats the tables of that day instead of importing models.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "kafka_offsets",
        sa.Column("cluster", sa.Text, primary_key=True),
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "incidents",
        sa.Column("id", sa.BigInteger, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("env", "source", "queue", "fingerprint", "phase")),
        sa.Column("episode", sa.Integer, nullable=False),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("count", "total", "first_ms", "last_ms", "touched_ms")
        ),
        sa.Column("previous_ms", sa.BigInteger),
        sa.Column("has_rung", sa.Boolean, nullable=False),
        sa.Column("last", JSONB, nullable=False),
        sa.UniqueConstraint("env", "source", "queue", "fingerprint", name="incidents_key"),
    )
    op.create_index("incidents_firing", "incidents", ["touched_ms"], postgresql_where=sa.text("phase = 'firing'"))
    op.create_table(
        "late_summaries",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("chat_id", sa.BigInteger, nullable=False),
        sa.Column("topic_id", sa.BigInteger),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("touched_ms", "failures", "first_ms", "last_ms")),
        sa.Column("kinds", JSONB, nullable=False),
    )
    op.create_table(
        "cards",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("incident_id", sa.BigInteger, sa.ForeignKey("incidents.id", ondelete="CASCADE")),
        sa.Column("episode", sa.Integer),
        sa.Column("late_id", sa.BigInteger, sa.ForeignKey("late_summaries.id", ondelete="CASCADE")),
        sa.Column("chat_id", sa.BigInteger, nullable=False),
        sa.Column("topic_id", sa.BigInteger),
        sa.Column("is_silent", sa.Boolean, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("buttons", JSONB, nullable=False),
        sa.Column("wanted", sa.Integer, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
        sa.Column("message_id", sa.BigInteger),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("not_before_ms", "created_ms", "changed_ms")),
    )
    due = sa.text("state = 'live' AND wanted > sent")
    op.create_index("cards_due", "cards", ["chat_id", "id"], postgresql_where=due)
    op.create_index("cards_incident", "cards", ["incident_id", "episode"])
    op.create_index("cards_dead", "cards", ["changed_ms"], postgresql_where=sa.text("state = 'dead'"))
    op.create_table(
        "chat_moves",
        sa.Column("old_chat_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("new_chat_id", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "milestones",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )
