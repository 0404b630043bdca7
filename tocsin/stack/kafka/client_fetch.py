"""Fetch jars with the jgo Maven client: `client_fetch.py CLIENT_FOLDER TARGET_FOLDER GROUP:ARTIFACT:VERSION …`.

Runs in a process of its own (`python -I`), so that the client's dependencies never meet ours.
"""

import concurrent.futures
import importlib
import shutil
import sys
from pathlib import Path
from typing import Any


def main(client: str, target: str, coordinates: list[str]) -> None:
    """Bring each jar into target; jgo keeps its own download cache inside it too. Any failure raises."""
    sys.path.insert(0, client)
    context: Any = importlib.import_module("jgo.maven").MavenContext(repo_cache=Path(target) / "repository")

    def bring(one: str) -> None:
        group, artifact, version = one.split(":")
        file = context.project(group, artifact).at_version(version).artifact().resolve()
        shutil.copy(file, target)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(bring, coordinates))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
