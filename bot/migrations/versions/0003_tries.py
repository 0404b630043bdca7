"""How often a message was tried in vain; what a chat that refused us is still to hear is no longer given up.

The release before this one does not know the column and can go on without it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("cards", sa.Column("failures", sa.Integer, nullable=False, server_default="0"))
    op.create_index("cards_late", "cards", ["late_id"], postgresql_where=sa.text("late_id IS NOT NULL"))
    op.execute("UPDATE cards SET state = 'live' WHERE state = 'dead' AND note LIKE 'chat gone%'")
