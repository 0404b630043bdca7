"""Two releases side by side, for real: an earlier bridge with today's logsvc and bot, and the reverse.

The earlier release is the newest tag `v*`, before there is one the commit that first kept a contract to compare with,
run from Git's history in this environment. What the wire itself must hold is in tests/contract/test_upgrades.py.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.main_job import EPHEMERAL, do_main_job
from tests.product import Product

ROOT = Path(__file__).parents[2]
QUEUES = ["orders", "mails", EPHEMERAL]
KEPT_SINCE = "tests/contract/earlier/first.py"


def git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True).stdout


def earlier_release() -> str:
    assert git("rev-parse", "--is-shallow-repository") == b"false\n", "run: git fetch --unshallow --tags"
    here = git("rev-parse", "HEAD").decode().strip()
    for tag in git("tag", "--list", "v*", "--sort=-version:refname", "--merged", here).decode().split():
        if git("rev-parse", f"{tag}^{{commit}}").decode().strip() != here:
            return tag
    return git("log", "--diff-filter=A", "--format=%H", "--", KEPT_SINCE).decode().split()[-1]


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The tree of the earlier release."""
    folder = tmp_path / "earlier"
    folder.mkdir()
    tree = git("archive", earlier_release(), "bridge", "bot", "logsvc", "tocsin")
    subprocess.run(["tar", "-x", "-C", folder], input=tree, check=True)
    return folder


def imported_from(environ: Mapping[str, str]) -> Path:
    argv = [sys.executable, "-c", "import tocsin; print(tocsin.__file__)"]
    done = subprocess.run(argv, env={**environ}, cwd=ROOT, check=True, capture_output=True, text=True)
    return Path(done.stdout.strip()).parents[1]


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("old", [("bridge",), ("logsvc", "bot")], ids=["old bridge", "old logsvc and bot"])
async def test_the_main_job_is_done_by_two_releases_together(
    tocsin: Product, redis_url: str, earlier: Path, old: tuple[str, ...]
) -> None:
    of_earlier = {"PYTHONPATH": str(earlier), "PYTHONSAFEPATH": "1"}  # else -m would take what lies here
    assert imported_from(of_earlier) == earlier
    tocsin.own = {service: of_earlier for service in old}
    for service in ("sandbox", "logsvc", "bridge", "bot"):
        await tocsin.start(service)
    await tocsin.ready()
    await do_main_job(tocsin, redis_url, QUEUES, jobs=400, rate=200)
