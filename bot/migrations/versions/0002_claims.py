"""Who is sending a message now, so that two bots do not send it both.

The release before this one does not know these columns, and can still write rows: one of them has a default.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("cards", sa.Column("claimed_by", sa.Text, nullable=False, server_default=""))
    op.add_column("cards", sa.Column("claimed_until", sa.DateTime(timezone=True)))
