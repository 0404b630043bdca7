"""The page's own checks (format, types, linter, unit tests, size budget): `python -m tests.web_checks`.

With the Node that builds the page: the system's if it is new enough, else the one of the locked wheel.
"""

import os
import subprocess
import sys
from pathlib import Path

from hatch_build import WEB, build_page, find_node

FOLDER = Path(__file__).parents[1] / WEB
SCRIPTS = ("check", "budget")


def main() -> int:
    """Return 0, or the status of the first script that failed."""
    build_page(FOLDER)
    node = find_node()
    environ = {**os.environ, "PATH": os.pathsep.join((str(Path(node.executable).parent), os.environ.get("PATH", "")))}
    if not (FOLDER / "node_modules").is_dir():
        install = [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(install, cwd=FOLDER, env=environ, check=True)
    for script in SCRIPTS:
        done = subprocess.run([*node.npm, "run", "--silent", script], cwd=FOLDER, env=environ, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
