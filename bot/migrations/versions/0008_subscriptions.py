"""What chats and topics have asked to hear of, by /here."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("chat_id", sa.BigInteger, nullable=False),
        sa.Column("topic_id", sa.BigInteger),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("env", "source", "queue")),
        sa.Column("is_silent", sa.Boolean, nullable=False),
        sa.Column("shows_data", sa.Boolean, nullable=False),
        sa.Column("by_id", sa.BigInteger, nullable=False),
        sa.Column("by_name", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
    )
    scope = ("chat_id", sa.text("coalesce(topic_id, 0)"), "env", "source", "queue")
    op.create_index("subscriptions_scope", "subscriptions", list(scope), unique=True)
