"""Who is on call, and who was paged."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "shifts",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("from_ms", sa.BigInteger, nullable=False),
        sa.Column("until_ms", sa.BigInteger),
        sa.Column("by_name", sa.Text, nullable=False),
    )
    op.create_table(
        "rota",
        sa.Column("minute", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
    )
    op.add_column("incidents", sa.Column("paged", JSONB, nullable=False, server_default="[]"))
    op.add_column("incidents", sa.Column("page_due_ms", sa.BigInteger))
    op.create_index(
        "incidents_page_due", "incidents", ["page_due_ms"], postgresql_where=sa.text("page_due_ms IS NOT NULL")
    )
