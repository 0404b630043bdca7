"""Storms: many incidents at once, told in one message."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "storms",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("env", sa.Text, nullable=False),
        sa.Column("began_ms", sa.BigInteger, nullable=False),
        sa.Column("joined_ms", sa.BigInteger, nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
    )
    op.create_index("storms_open", "storms", ["env"], unique=True, postgresql_where=sa.text("is_open"))
    op.add_column("incidents", sa.Column("rung_ms", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("incidents", sa.Column("storm_id", sa.BigInteger, sa.ForeignKey("storms.id", ondelete="SET NULL")))
    op.create_index("incidents_rung", "incidents", ["env", "rung_ms"])
    op.create_index("incidents_storm", "incidents", ["storm_id"], postgresql_where=sa.text("storm_id IS NOT NULL"))
    op.add_column("cards", sa.Column("storm_id", sa.BigInteger, sa.ForeignKey("storms.id", ondelete="CASCADE")))
    op.create_index("cards_storm", "cards", ["storm_id"], postgresql_where=sa.text("storm_id IS NOT NULL"))
