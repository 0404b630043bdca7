"""What waits to be sent and is nobody's: by Postgres' own clock, so that no bot's matters."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, or_
from sqlalchemy.orm import InstrumentedAttribute


def is_unclaimed(until: InstrumentedAttribute[datetime | None], spared_seconds: float) -> ColumnElement[bool]:
    """Whether nobody has claimed it, or whoever did has let their lease end, and so many seconds more."""
    return or_(until.is_(None), until < func.clock_timestamp() - timedelta(seconds=spared_seconds))
