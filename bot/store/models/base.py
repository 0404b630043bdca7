"""What every table has in common."""

from datetime import datetime

from sqlalchemy import DateTime, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of the tables."""


def now() -> Mapped[datetime]:
    """A time that is Postgres' own where a row names none."""
    return mapped_column(DateTime(timezone=True), server_default=func.now())
