"""Incidents held back in quiet hours for the morning digest."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("incidents", sa.Column("held_ms", sa.BigInteger))
    op.create_index("incidents_held", "incidents", ["held_ms"], postgresql_where=sa.text("held_ms IS NOT NULL"))
