"""What several bots must know of one another: how far each partition is read, and when a chat may be spoken to."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("kafka_offsets", sa.Column("heard_ms", sa.BigInteger))
    op.add_column("kafka_offsets", sa.Column("lag", sa.BigInteger))
    op.add_column("kafka_offsets", sa.Column("read_at", sa.DateTime(timezone=True)))
    op.create_table(
        "chat_paces",
        sa.Column("chat_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("second_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("minute_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("frozen_until", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
