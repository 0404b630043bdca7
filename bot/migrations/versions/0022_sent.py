"""Since when the bridge may be at an action: one that it never answered may have been done."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.add_column("actions", sa.Column("sent_ms", sa.BigInteger))
    # What is under way was begun by a release that did not write this down: it may have been sent.
    op.execute("UPDATE actions SET sent_ms = begun_ms WHERE stage = 'begun'")
