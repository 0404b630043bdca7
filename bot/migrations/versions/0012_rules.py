"""What people have changed of the rules."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    numbers = ("fire", "resolve", "fire_seconds", "resolve_seconds", "least")
    op.create_table(
        "rules",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("is_on", sa.Boolean),
        *(sa.Column(name, sa.Double) for name in numbers),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("changed_by", sa.Text, nullable=False),
        sa.Column("changed_ms", sa.BigInteger, nullable=False),
    )
