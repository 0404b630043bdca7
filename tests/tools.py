"""The programs that only tests need, put in the cache by tests/install.sh."""

import os

import pytest

from tocsin.stack.cache import cache_dir


def tool(name: str) -> str:
    """Path of a program. Absent: the test is skipped and says how to get it; on CI it fails."""
    path = cache_dir(os.environ) / "tools" / "bin" / name
    if path.exists():
        return str(path)
    reason = f"{name} is not there; get it with: tests/install.sh {name}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
