"""Messages whose topic is gone are in General, and remember which topic they were meant for."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("cards", sa.Column("in_general", sa.Boolean, nullable=False, server_default="false"))
