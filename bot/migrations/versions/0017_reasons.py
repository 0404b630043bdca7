"""Why somebody did something, beside what: a pause tells it."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("audit", sa.Column("reason", sa.Text, nullable=False, server_default=""))
