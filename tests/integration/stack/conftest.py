"""A data directory as a checkout's usually is."""

import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest


@pytest.fixture
def data() -> Generator[Path]:
    """A directory everybody may pass through; pytest's own are closed to others, and root's Postgres then goes
    elsewhere, where nobody would clean up.
    """
    path = Path(tempfile.mkdtemp(prefix="tocsin-stack-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)  # after a failure its servers may still be dying
