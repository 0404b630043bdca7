"""Where Postgres's cluster stands when its user may not pass through every directory."""

import os
from pathlib import Path

import pytest

from tocsin.stack.postgres_home import find_home
from tocsin.stack.process import StartFailed


def test_cluster_that_cannot_be_reached_any_more_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    closed = tmp_path / "closed"
    (closed / "cluster").mkdir(parents=True)
    closed.chmod(0o700)
    with pytest.raises(StartFailed, match=r"cannot reach it any more; .*chmod o\+x"):
        find_home(closed, tmp_path)
