"""What rules remember of queues, schedules and sources that are not well."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "watches",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("rule", "env", "source", "queue", "part")),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("is_firing", sa.Boolean, nullable=False),
        sa.Column("well_since_ms", sa.BigInteger),
    )
