"""Pages as people like to see them."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "views",
        sa.Column("id", sa.BigInteger, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("name", "owner", "owner_name", "query")),
        *(sa.Column(name, sa.Boolean, nullable=False) for name in ("is_home", "is_shared")),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("views_owner", "views", ["owner"])
