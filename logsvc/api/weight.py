"""How much of what was found an answer holds: bounded in rows and in bytes, by ClickHouse, so that no more reaches us.

A row may be as large as what a job wrote, so a large number of rows bounds nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

ANSWER_BYTES = 8 * 1024 * 1024
"""Of the rows of one answer. Encoding holds the loop meanwhile, and a thread would hold it as long."""
FEW_ROWS = 200
"""So many are given however large they are: to weigh them takes ClickHouse longer than to find them."""

WEIGHT = "500 + byteSize(message, error, stack, data, result, progress, fields)"
"""Bytes of a row: its texts, and about what the rest takes."""


def first_rows(rows: str, order: str) -> str:
    """The first {most} of some journal rows, in this order."""
    return f"{rows} ORDER BY {order} LIMIT {{most:UInt32}}"


def fitting(rows: str, order: str) -> str:
    """The first {most} of some journal rows, in this order, that fit into {most_bytes}; one in any case.

    rows: a SELECT of COLUMNS. Beside them come weight, bytes (of the rows so far) and found (how many there were).
    """
    return f"""
SELECT * FROM
(
    SELECT *, {WEIGHT} AS weight, count() OVER () AS found,
        sum(weight) OVER (ORDER BY {order} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS bytes
    FROM ({first_rows(rows, order)})
)
WHERE bytes - weight < {{most_bytes:UInt64}}
ORDER BY {order}
"""


def is_cut(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether some of what `fitting` was asked for did not fit."""
    return bool(rows) and int(rows[0].get("found", 0)) > len(rows)
