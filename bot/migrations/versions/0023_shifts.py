"""A shift lies on top of those that go on below it; before, it replaced them: what it replaced is over."""

from alembic import op

revision = "0023"
down_revision = "0022"

NOW_MS = "extract(epoch FROM now()) * 1000"


def upgrade() -> None:
    op.execute(
        f"UPDATE shifts SET until_ms = {NOW_MS} WHERE id < (SELECT max(id) FROM shifts)"
        f" AND (until_ms IS NULL OR until_ms > {NOW_MS})"
    )
