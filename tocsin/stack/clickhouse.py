"""ClickHouse as chDB: no process of its own, it lives in logsvc's. Here is only its place on disk."""

import shutil
from collections.abc import Mapping
from pathlib import Path


def chdb_settings(data: Path) -> Mapping[str, str]:
    """CLICKHOUSE_URL, and CHDB_TMPDIR: the TMPDIR of the one process that opens it.

    The engine leaves temporary files behind when it is killed: they are collected in a directory of ours and removed
    at each start.
    """
    temporary = data / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    store = (data / "chdb").resolve()
    store.mkdir(exist_ok=True)
    return {"CLICKHOUSE_URL": f"chdb://{store}", "CHDB_TMPDIR": str(temporary.resolve())}
